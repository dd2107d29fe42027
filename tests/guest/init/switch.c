// SPDX-License-Identifier: GPL-2.0-only
/*
 * An Ethernet switch between guests: QEMU's "-netdev stream" on unix sockets,
 * one listening socket per port, given as arguments. Commands come on stdin,
 * one per line, each answered with one line:
 *
 *	cut A B		drop what A sends to B (0: every other port)
 *	heal A B	undo it
 *	stat		counters
 *
 * A cut here is silent, unlike a link that goes down: the guests keep their
 * carrier, as they do when a switch far away fails. A port that does not read
 * (a frozen guest) loses packets and never holds up the others.
 *
 * It ends with its stdin, that is with the process that started it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_PORTS	65		/* port 0 is not used */
#define MAX_FRAME	(68 * 1024)
#define OUT_SIZE	(1024 * 1024)
#define MACS		1024

struct port {
	int listener, fd;
	uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;
	unsigned long received, sent, dropped, cut;
};

struct mac {
	uint8_t addr[6];
	int port;
};

static struct port ports[MAX_PORTS];
static int nr_ports;
static bool cut[MAX_PORTS][MAX_PORTS];
static struct mac macs[MACS];

static struct mac *find_mac(const uint8_t *addr)
{
	unsigned int h = 0, i;

	for (i = 0; i < 6; i++)
		h = h * 31 + addr[i];
	for (i = 0; i < 8; i++) {
		struct mac *m = &macs[(h + i) % MACS];

		if (!m->port || !memcmp(m->addr, addr, 6))
			return m;
	}
	return &macs[h % MACS];
}

static void close_port(struct port *p)
{
	close(p->fd);
	p->fd = -1;
	p->in_len = p->out_len = 0;
}

static void flush_port(struct port *p)
{
	ssize_t n;

	while (p->fd >= 0 && p->out_len) {
		n = send(p->fd, p->out, p->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				close_port(p);
			return;
		}
		memmove(p->out, p->out + n, p->out_len - n);
		p->out_len -= n;
	}
}

static void send_to(int from, int to, const uint8_t *frame, size_t len)
{
	struct port *p = &ports[to];

	if (p->fd < 0 || to == from)
		return;
	if (cut[from][to]) {
		p->cut++;
		return;
	}
	if (p->out_len + len > OUT_SIZE) {
		p->dropped++;
		return;
	}
	memcpy(p->out + p->out_len, frame, len);
	p->out_len += len;
	p->sent++;
}

/* frame: with its length word, as it came */
static void forward(int from, const uint8_t *frame, size_t len)
{
	const uint8_t *eth = frame + 4;
	struct mac *m;
	int i;

	if (len < 4 + 14)
		return;
	ports[from].received++;
	if (!(eth[6] & 1)) {
		m = find_mac(eth + 6);
		memcpy(m->addr, eth + 6, 6);
		m->port = from;
	}
	if (!(eth[0] & 1)) {
		m = find_mac(eth);
		if (m->port && !memcmp(m->addr, eth, 6)) {
			send_to(from, m->port, frame, len);
			return;
		}
	}
	for (i = 1; i <= nr_ports; i++)
		send_to(from, i, frame, len);
}

static void receive(int nr)
{
	struct port *p = &ports[nr];
	size_t off = 0;
	uint32_t len;
	ssize_t n;

	n = recv(p->fd, p->in + p->in_len, 4 * MAX_FRAME - p->in_len,
		 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_port(p);
		return;
	}
	p->in_len += n;
	while (p->in_len - off >= 4) {
		memcpy(&len, p->in + off, 4);
		len = ntohl(len);
		if (len > MAX_FRAME - 4) {
			fprintf(stderr, "port %d: frame of %u bytes\n", nr, len);
			close_port(p);
			return;
		}
		if (p->in_len - off < 4 + len)
			break;
		forward(nr, p->in + off, 4 + len);
		off += 4 + len;
	}
	memmove(p->in, p->in + off, p->in_len - off);
	p->in_len -= off;
}

static void set_cut(int a, int b, bool on)
{
	int i, j;

	for (i = 1; i <= nr_ports; i++)
		for (j = 1; j <= nr_ports; j++)
			if (i != j && (!a || i == a) && (!b || j == b))
				cut[i][j] = on;
}

static void command(char *line)
{
	int a = -1, b = -1, i;
	char word[16] = "";

	sscanf(line, "%15s %d %d", word, &a, &b);
	if (!strcmp(word, "stat")) {
		for (i = 1; i <= nr_ports; i++)
			printf("%d:received=%lu,sent=%lu,dropped=%lu,cut=%lu ",
			       i, ports[i].received, ports[i].sent,
			       ports[i].dropped, ports[i].cut);
		printf("\n");
	} else if ((!strcmp(word, "cut") || !strcmp(word, "heal")) &&
		   a >= 0 && b >= 0 && a <= nr_ports && b <= nr_ports) {
		set_cut(a, b, word[0] == 'c');
		printf("ok\n");
	} else {
		printf("bad command\n");
	}
	fflush(stdout);
}

static void commands(void)
{
	static char buf[4096];
	static size_t len;
	char *nl;
	ssize_t n;

	n = read(0, buf + len, sizeof(buf) - 1 - len);
	if (n <= 0)
		exit(0);
	len += n;
	buf[len] = 0;
	while ((nl = strchr(buf, '\n'))) {
		*nl = 0;
		command(buf);
		len -= nl + 1 - buf;
		memmove(buf, nl + 1, len + 1);
	}
}

static void open_port(struct port *p, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path)) {
		fprintf(stderr, "%s: path too long\n", path);
		exit(1);
	}
	strcpy(sa.sun_path, path);
	unlink(path);
	p->fd = -1;
	p->in = malloc(4 * MAX_FRAME);
	p->out = malloc(OUT_SIZE);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!p->in || !p->out || p->listener < 0 ||
	    bind(p->listener, (void *)&sa, sizeof(sa)) ||
	    listen(p->listener, 4)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
}

static void take_connection(struct port *p)
{
	int size = 1024 * 1024;
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	/* A guest that was killed and started again comes on a new socket. */
	if (p->fd >= 0)
		close_port(p);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->fd = fd;
}

int main(int argc, char **argv)
{
	struct pollfd pf[1 + 2 * MAX_PORTS];
	int i;

	if (argc < 2 || argc > MAX_PORTS) {
		fprintf(stderr, "usage: %s socket...\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	nr_ports = argc - 1;
	for (i = 1; i <= nr_ports; i++)
		open_port(&ports[i], argv[i]);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		pf[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		for (i = 1; i <= nr_ports; i++) {
			struct port *p = &ports[i];

			pf[2 * i - 1] = (struct pollfd){ .fd = p->listener,
							 .events = POLLIN };
			pf[2 * i] = (struct pollfd){ .fd = p->fd,
				.events = POLLIN | (p->out_len ? POLLOUT : 0) };
		}
		if (poll(pf, 1 + 2 * nr_ports, -1) < 0)
			continue;
		if (pf[0].revents)
			commands();
		for (i = 1; i <= nr_ports; i++) {
			if (pf[2 * i].revents & (POLLIN | POLLHUP | POLLERR) &&
			    ports[i].fd >= 0)
				receive(i);
			if (pf[2 * i - 1].revents)
				take_connection(&ports[i]);
		}
		for (i = 1; i <= nr_ports; i++)
			flush_port(&ports[i]);
	}
}
