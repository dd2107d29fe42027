// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a test guest. It brings the guest up (file systems, modules,
 * addresses, disk names) and then runs commands for the host over one
 * virtio-serial port named "fc.control".
 *
 * One process, one poll loop: a guest under test may be short of memory and
 * its network is cut on purpose, so the way in must need neither.
 *
 * Every frame is a header of 12 bytes (little endian: u32 payload length,
 * u32 stream, u8 type, 3 bytes zero) and its payload. A stream is one command.
 * Both directions of a stream are limited by credits, so that one slow reader
 * on the host never blocks the other commands.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/ipv6.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT_NAME	"fc.control"
#define MAX_STREAMS	128
#define MAX_PAYLOAD	(256 * 1024)
#define CHUNK		(32 * 1024)
#define STDIN_WINDOW	(256 * 1024)
#define KILL_AFTER_MS	2000

enum {				/* host to guest */
	F_EXEC = 1, F_STDIN, F_STDIN_EOF, F_SIGNAL, F_CLOSE, F_WINSIZE,
	F_CREDIT, F_PING, F_SYSRQ, F_POWER,
};

enum {				/* guest to host */
	F_HELLO = 0x80, F_STDOUT = 0x82, F_STDERR, F_EXIT, F_STDIN_CREDIT = 0x87,
	F_PONG,
};

struct frame {
	uint32_t len;
	uint32_t stream;
	uint8_t type;
	uint8_t pad[3];
} __attribute__((packed));

struct stream {
	bool used;
	bool closing;		/* the host has gone: kill and forget */
	bool exited;
	bool in_eof;		/* close stdin once its buffer is written */
	bool is_pty;
	int status;
	uint32_t id;
	pid_t pid;
	int in, out, err;	/* -1: closed */
	int64_t credit;		/* bytes of output the host takes */
	int64_t kill_at;	/* ms: when SIGHUP was not enough */
	char *buf;		/* stdin not yet written */
	size_t buf_len, buf_off;
};

static struct stream streams[MAX_STREAMS];
static int port = -1;
static int sigfd = -1;
static int ueventfd = -1;
static int node;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* For calls whose failure changes nothing. */
static void ignore(long result)
{
	(void)result;
}

/* To the kernel log: it is the only console that survives everything. */
static void say(const char *fmt, ...)
{
	char buf[512] = "<5>fc-init: ";
	size_t n = strlen(buf);
	va_list ap;
	int fd;

	va_start(ap, fmt);
	vsnprintf(buf + n, sizeof(buf) - n - 1, fmt, ap);
	va_end(ap);
	strcat(buf, "\n");
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ignore(write(fd, buf, strlen(buf)));
	close(fd);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		say("write %s: %s", path, strerror(errno));
	close(fd);
}

static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	while (n > 0 && isspace((unsigned char)buf[n - 1]))
		n--;
	buf[n] = 0;
	return n;
}

/* ---- bringing the guest up ---- */

static void mount_all(void)
{
	static const struct {
		const char *src, *dir, *type, *data;
	} m[] = {
		{ "proc", "/proc", "proc", NULL },
		{ "sysfs", "/sys", "sysfs", NULL },
		{ "devtmpfs", "/dev", "devtmpfs", "mode=0755" },
		{ "devpts", "/dev/pts", "devpts", "mode=0620,ptmxmode=0666" },
		{ "tmpfs", "/dev/shm", "tmpfs", "mode=1777" },
		{ "tmpfs", "/run", "tmpfs", "mode=0755" },
		{ "tmpfs", "/tmp", "tmpfs", "mode=1777" },
		{ "debugfs", "/sys/kernel/debug", "debugfs", NULL },
		{ "tracefs", "/sys/kernel/tracing", "tracefs", NULL },
		{ "cgroup2", "/sys/fs/cgroup", "cgroup2", NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		mkdir(m[i].dir, 0755);
		if (mount(m[i].src, m[i].dir, m[i].type, 0, m[i].data) &&
		    errno != EBUSY)
			say("mount %s: %s", m[i].dir, strerror(errno));
	}
	mkdir("/run/netns", 0755);
	mkdir("/run/lock", 0755);
	mkdir("/run/lvm", 0755);
	ignore(symlink("/proc/self/fd", "/dev/fd"));
	ignore(symlink("/proc/self/fd/0", "/dev/stdin"));
	ignore(symlink("/proc/self/fd/1", "/dev/stdout"));
	ignore(symlink("/proc/self/fd/2", "/dev/stderr"));
}

/* The image lists its boot modules in dependency order. */
static void load_modules(void)
{
	char list[8192], *line, *save = NULL;
	int fd;

	if (read_file("/etc/fc/boot-modules", list, sizeof(list)) < 0)
		return;
	for (line = strtok_r(list, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		fd = open(line, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			say("%s: %s", line, strerror(errno));
			continue;
		}
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			say("insmod %s: %s", line, strerror(errno));
		close(fd);
	}
}

static void if_up(const char *name)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { };

	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	if (!ioctl(s, SIOCGIFFLAGS, &r)) {
		r.ifr_flags |= IFF_UP;
		ioctl(s, SIOCSIFFLAGS, &r);
	}
	close(s);
}

static void set_addresses(const char *name)
{
	struct ifreq r = { };
	struct sockaddr_in *a = (struct sockaddr_in *)&r.ifr_addr;
	struct in6_ifreq r6 = { .ifr6_prefixlen = 64 };
	char text[64];
	int s;

	snprintf(text, sizeof(text), "/proc/sys/net/ipv6/conf/%s/accept_dad",
		 name);
	write_file(text, "0");
	if_up(name);

	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	a->sin_family = AF_INET;
	snprintf(text, sizeof(text), "10.77.0.%d", node);
	inet_pton(AF_INET, text, &a->sin_addr);
	if (ioctl(s, SIOCSIFADDR, &r))
		say("%s %s: %s", name, text, strerror(errno));
	inet_pton(AF_INET, "255.255.255.0", &a->sin_addr);
	ioctl(s, SIOCSIFNETMASK, &r);
	if (!ioctl(s, SIOCGIFINDEX, &r))
		r6.ifr6_ifindex = r.ifr_ifindex;
	close(s);

	s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(text, sizeof(text), "fd77::%d", node);
	inet_pton(AF_INET6, text, &r6.ifr6_addr);
	if (ioctl(s, SIOCSIFADDR, &r6))
		say("%s %s: %s", name, text, strerror(errno));
	close(s);
}

static void name_disk(const char *dev, bool add)
{
	char path[300], serial[64], target[300], old[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/block/%s/serial", dev);
	snprintf(target, sizeof(target), "/dev/%s", dev);
	if (!add) {
		DIR *d = opendir("/dev/disk/fc");
		struct dirent *e;

		while (d && (e = readdir(d))) {
			snprintf(path, sizeof(path), "/dev/disk/fc/%.200s",
				 e->d_name);
			n = readlink(path, old, sizeof(old) - 1);
			if (n <= 0)
				continue;
			old[n] = 0;
			if (!strcmp(old, target))
				unlink(path);
		}
		if (d)
			closedir(d);
		return;
	}
	if (read_file(path, serial, sizeof(serial)) <= 0)
		return;
	snprintf(path, sizeof(path), "/dev/disk/fc/%s", serial);
	unlink(path);
	if (symlink(target, path))
		say("%s: %s", path, strerror(errno));
}

static void name_disks(void)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;

	mkdir("/dev/disk", 0755);
	mkdir("/dev/disk/fc", 0755);
	while (d && (e = readdir(d)))
		if (e->d_name[0] == 'v')
			name_disk(e->d_name, true);
	if (d)
		closedir(d);
}

static void open_uevents(void)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	ueventfd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			  NETLINK_KOBJECT_UEVENT);
	if (ueventfd >= 0 && bind(ueventfd, (void *)&nl, sizeof(nl))) {
		close(ueventfd);
		ueventfd = -1;
	}
}

static void handle_uevents(void)
{
	char buf[8192], *p, *name;
	ssize_t n;
	bool add;

	while ((n = recv(ueventfd, buf, sizeof(buf) - 1, 0)) > 0) {
		buf[n] = 0;
		p = strchr(buf, '@');
		if (!p || !strstr(p, "/block/v"))
			continue;
		add = !strncmp(buf, "add@", 4) || !strncmp(buf, "change@", 7);
		if (!add && strncmp(buf, "remove@", 7))
			continue;
		name = strrchr(p, '/') + 1;
		name_disk(name, add);
	}
}

static int cmdline_number(const char *key, int other)
{
	char buf[4096], *p;

	if (read_file("/proc/cmdline", buf, sizeof(buf)) < 0)
		return other;
	p = strstr(buf, key);
	return p ? atoi(p + strlen(key)) : other;
}

static void set_environment(void)
{
	clearenv();
	setenv("PATH", "/fc/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	       1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("SHELL", "/bin/bash", 1);
	setenv("TERM", "linux", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("DM_DISABLE_UDEV", "1", 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
}

static void bring_up(void)
{
	char text[32];

	umask(022);
	mount_all();
	set_environment();
	load_modules();
	node = cmdline_number("fc.node=", 0);
	snprintf(text, sizeof(text), "node%d", node);
	if (node && sethostname(text, strlen(text)))
		say("sethostname: %s", strerror(errno));
	snprintf(text, sizeof(text), "%d", node);
	setenv("FC_NODE", text, 1);
	if_up("lo");
	if (node && access("/sys/class/net/eth0", F_OK) == 0)
		set_addresses("eth0");
	open_uevents();
	name_disks();
	/* Quiet while booting (a serial line is slow), all of it from now. */
	write_file("/proc/sys/kernel/printk", "7 4 1 7");
	write_file("/proc/sys/kernel/sysrq", "1");
	write_file("/proc/sys/kernel/hung_task_timeout_secs", "60");
	write_file("/proc/self/oom_score_adj", "-1000");
}

/* ---- the port ---- */

static int open_port(void)
{
	char path[300], name[64];
	struct dirent *e;
	int fd = -1;
	DIR *d;

	d = opendir("/sys/class/virtio-ports");
	while (d && fd < 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 e->d_name);
		if (read_file(path, name, sizeof(name)) < 0 ||
		    strcmp(name, PORT_NAME))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (d)
		closedir(d);
	return fd;
}

/* The host always reads, so a blocking write ends. */
static void send_all(const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len) {
		n = write(port, p, len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
			struct pollfd pf = { .fd = port, .events = POLLOUT };

			poll(&pf, 1, 100);
			continue;
		}
		if (n < 0) {
			say("port: %s", strerror(errno));
			return;
		}
		p += n;
		len -= n;
	}
}

static void send_frame(uint8_t type, uint32_t stream, const void *data,
		       uint32_t len)
{
	static char out[sizeof(struct frame) + CHUNK];
	struct frame f = { .len = len, .stream = stream, .type = type };

	/* One write per frame: each write is one trap into the emulator. */
	memcpy(out, &f, sizeof(f));
	memcpy(out + sizeof(f), data, len);
	send_all(out, sizeof(f) + len);
}

static void send_u32(uint8_t type, uint32_t stream, uint32_t value)
{
	send_frame(type, stream, &value, sizeof(value));
}

/* ---- streams ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct stream *find_stream(uint32_t id)
{
	int i;

	for (i = 0; i < MAX_STREAMS; i++)
		if (streams[i].used && streams[i].id == id)
			return &streams[i];
	return NULL;
}

static void free_stream(struct stream *s)
{
	if (s->is_pty) {
		close_fd(&s->out);
		s->in = -1;
	}
	close_fd(&s->in);
	close_fd(&s->out);
	close_fd(&s->err);
	free(s->buf);
	memset(s, 0, sizeof(*s));
	s->in = s->out = s->err = -1;
}

static void end_stream(struct stream *s)
{
	if (!s->closing)
		send_u32(F_EXIT, s->id, s->status);
	free_stream(s);
}

static void refuse(uint32_t id, const char *why)
{
	send_frame(F_STDERR, id, why, strlen(why));
	send_u32(F_EXIT, id, 126);
}

static void run_child(char **argv, char **envp, int in, int out, int err,
		      bool is_pty)
{
	sigset_t none;
	int i;

	setsid();
	if (is_pty)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	for (i = 3; i < 1024; i++)
		close(i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	write_file("/proc/self/oom_score_adj", "0");
	ignore(chdir("/root"));
	for (i = 0; envp[i]; i++)
		putenv(envp[i]);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* payload: u32 flags (1: pty), u16 rows, u16 cols, u32 argc, u32 envc, strings */
static void start_stream(uint32_t id, char *p, size_t len)
{
	uint32_t flags, argc, envc, i, k;
	uint16_t rows, cols;
	struct stream *s = NULL;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	char **argv, **envp, *end = p + len;

	if (len < 17 || end[-1]) {
		refuse(id, "bad request\n");
		return;
	}
	memcpy(&flags, p, 4);
	memcpy(&rows, p + 4, 2);
	memcpy(&cols, p + 6, 2);
	memcpy(&argc, p + 8, 4);
	memcpy(&envc, p + 12, 4);
	p += 16;
	for (i = 0; i < MAX_STREAMS && !s; i++)
		if (!streams[i].used)
			s = &streams[i];
	if (!s || !argc || argc > 10000 || envc > 1000) {
		refuse(id, s ? "bad request\n" : "too many commands\n");
		return;
	}
	argv = calloc(argc + 1, sizeof(char *));
	envp = calloc(envc + 1, sizeof(char *));
	for (k = 0; k < argc + envc && p < end; k++) {
		if (k < argc)
			argv[k] = p;
		else
			envp[k - argc] = p;
		p += strlen(p) + 1;
	}
	memset(s, 0, sizeof(*s));
	s->in = s->out = s->err = -1;
	if (k != argc + envc)
		goto fail;
	if (flags & 1) {
		struct winsize ws = { .ws_row = rows, .ws_col = cols };

		if (openpty(&out[0], &in[0], NULL, NULL, &ws))
			goto fail;
		fcntl(out[0], F_SETFD, FD_CLOEXEC);
		out[1] = err[1] = in[0];
	} else if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
		   pipe2(err, O_CLOEXEC)) {
		goto fail;
	}
	s->pid = fork();
	if (s->pid < 0)
		goto fail;
	if (!s->pid)
		run_child(argv, envp, in[0], out[1], err[1], flags & 1);
	close(in[0]);
	if (flags & 1) {
		s->is_pty = true;
		s->in = s->out = out[0];
	} else {
		close(out[1]);
		close(err[1]);
		s->in = in[1];
		s->out = out[0];
		s->err = err[0];
		fcntl(s->in, F_SETFL, O_NONBLOCK);
		fcntl(s->err, F_SETFL, O_NONBLOCK);
	}
	fcntl(s->out, F_SETFL, O_NONBLOCK);
	s->used = true;
	s->id = id;
	s->buf = malloc(STDIN_WINDOW);
	free(argv);
	free(envp);
	return;
fail:
	refuse(id, "cannot start a process\n");
	for (i = 0; i < 2; i++) {
		close_fd(&in[i]);
		if (!(flags & 1)) {
			close_fd(&out[i]);
			close_fd(&err[i]);
		}
	}
	free(argv);
	free(envp);
}

static void close_stdin(struct stream *s)
{
	if (s->is_pty) {
		char eot = 4;

		ignore(write(s->in, &eot, 1));
		s->in_eof = false;
		return;
	}
	close_fd(&s->in);
}

static void flush_stdin(struct stream *s)
{
	ssize_t n = 0;

	if (s->in >= 0 && s->buf_len > s->buf_off) {
		n = write(s->in, s->buf + s->buf_off, s->buf_len - s->buf_off);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			n = s->buf_len - s->buf_off;
			if (!s->is_pty)
				close_fd(&s->in);
		}
	} else if (s->in < 0) {
		n = s->buf_len - s->buf_off;	/* nobody reads: swallow */
	}
	if (n > 0) {
		s->buf_off += n;
		send_u32(F_STDIN_CREDIT, s->id, n);
	}
	if (s->buf_off == s->buf_len) {
		s->buf_off = s->buf_len = 0;
		if (s->in_eof && s->in >= 0)
			close_stdin(s);
	}
}

static void take_stdin(struct stream *s, const char *p, size_t len)
{
	if (s->buf_off) {
		memmove(s->buf, s->buf + s->buf_off, s->buf_len - s->buf_off);
		s->buf_len -= s->buf_off;
		s->buf_off = 0;
	}
	if (len > STDIN_WINDOW - s->buf_len) {
		say("stream %u: stdin beyond its window", s->id);
		len = STDIN_WINDOW - s->buf_len;
	}
	memcpy(s->buf + s->buf_len, p, len);
	s->buf_len += len;
	flush_stdin(s);
}

static void drain(struct stream *s, int *fd, uint8_t type)
{
	static char buf[CHUNK];
	size_t want = s->closing ? CHUNK : (size_t)s->credit;
	ssize_t n;

	if (*fd < 0 || !want)
		return;
	n = read(*fd, buf, want < CHUNK ? want : CHUNK);
	if (n > 0) {
		if (!s->closing) {
			s->credit -= n;
			send_frame(type, s->id, buf, n);
		}
		return;
	}
	if (n < 0 && (errno == EINTR || (errno == EAGAIN && !s->exited)))
		return;
	/*
	 * End of file, or nothing more of a command that has ended: what it
	 * left in the background keeps the pipe open and is not waited for.
	 */
	if (s->is_pty)
		s->in = -1;
	close_fd(fd);
}

static void hang_up(struct stream *s)
{
	if (s->closing)
		return;
	s->closing = true;
	if (!s->is_pty)
		close_fd(&s->in);
	s->buf_off = s->buf_len = 0;
	if (!s->exited) {
		kill(-s->pid, SIGHUP);
		kill(-s->pid, SIGCONT);
		s->kill_at = now_ms() + KILL_AFTER_MS;
	}
}

static void power(uint32_t how)
{
	say("%s", how == 1 ? "reboot" : "power off");
	kill(-1, SIGTERM);
	usleep(200000);
	kill(-1, SIGKILL);
	sync();
	reboot(how == 1 ? RB_AUTOBOOT : RB_POWER_OFF);
}

static void handle_frame(const struct frame *f, char *p)
{
	struct stream *s = find_stream(f->stream);
	uint32_t v = 0;
	int64_t ms;

	if (f->len >= 4)
		memcpy(&v, p, 4);
	switch (f->type) {
	case F_EXEC:
		start_stream(f->stream, p, f->len);
		return;
	case F_PING:
		ms = now_ms();
		send_frame(F_PONG, f->stream, &ms, sizeof(ms));
		return;
	case F_SYSRQ:
		if (f->len)
			write_file("/proc/sysrq-trigger", (char[]){ p[0], 0 });
		return;
	case F_POWER:
		power(v);
		return;
	}
	if (!s)
		return;
	switch (f->type) {
	case F_STDIN:
		take_stdin(s, p, f->len);
		break;
	case F_STDIN_EOF:
		s->in_eof = true;
		flush_stdin(s);
		break;
	case F_SIGNAL:
		if (!s->exited)
			kill(-s->pid, (int)v);
		break;
	case F_CLOSE:
		hang_up(s);
		break;
	case F_CREDIT:
		s->credit += v;
		break;
	case F_WINSIZE:
		if (s->is_pty && s->out >= 0 && f->len >= 4) {
			struct winsize ws = { };

			memcpy(&ws.ws_row, p, 2);
			memcpy(&ws.ws_col, p + 2, 2);
			ioctl(s->out, TIOCSWINSZ, &ws);
		}
		break;
	}
}

static char rx[2 * (sizeof(struct frame) + MAX_PAYLOAD)];
static size_t rx_len;

static void handle_port(void)
{
	struct frame f;
	size_t off = 0;
	ssize_t n;

	n = read(port, rx + rx_len, sizeof(rx) - rx_len - 1);
	if (n <= 0) {
		/* The host's end is closed; it comes back or we are killed. */
		usleep(50000);
		return;
	}
	rx_len += n;
	while (rx_len - off >= sizeof(f)) {
		memcpy(&f, rx + off, sizeof(f));
		if (f.len > MAX_PAYLOAD) {
			say("port: frame of %u bytes", f.len);
			reboot(RB_AUTOBOOT);
		}
		if (rx_len - off < sizeof(f) + f.len)
			break;
		handle_frame(&f, rx + off + sizeof(f));
		off += sizeof(f) + f.len;
	}
	memmove(rx, rx + off, rx_len - off);
	rx_len -= off;
}

static void reap(void)
{
	struct signalfd_siginfo si;
	int status, i;
	pid_t pid;

	while (read(sigfd, &si, sizeof(si)) == sizeof(si))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < MAX_STREAMS; i++) {
			struct stream *s = &streams[i];

			if (!s->used || s->pid != pid || s->exited)
				continue;
			s->exited = true;
			s->status = WIFEXITED(status) ? WEXITSTATUS(status) :
				    128 + WTERMSIG(status);
		}
	}
}

static void serve(void)
{
	struct pollfd pf[3 + 3 * MAX_STREAMS];
	int64_t now;
	int i, n, timeout;

	for (;;) {
		n = 0;
		timeout = -1;
		pf[n++] = (struct pollfd){ .fd = port, .events = POLLIN };
		pf[n++] = (struct pollfd){ .fd = sigfd, .events = POLLIN };
		pf[n++] = (struct pollfd){ .fd = ueventfd, .events = POLLIN };
		for (i = 0; i < MAX_STREAMS; i++) {
			struct stream *s = &streams[i];
			bool want = s->closing || s->credit > 0;

			if (!s->used)
				continue;
			if (s->in >= 0 && s->buf_len > s->buf_off)
				pf[n++] = (struct pollfd){ .fd = s->in,
							   .events = POLLOUT };
			if (s->out >= 0 && want)
				pf[n++] = (struct pollfd){ .fd = s->out,
							   .events = POLLIN };
			if (s->err >= 0 && want)
				pf[n++] = (struct pollfd){ .fd = s->err,
							   .events = POLLIN };
			if (s->kill_at)
				timeout = 200;
			if (s->exited && want)
				timeout = 0;
		}
		if (poll(pf, n, timeout) < 0 && errno != EINTR)
			say("poll: %s", strerror(errno));
		if (pf[0].revents)
			handle_port();
		if (pf[2].revents)
			handle_uevents();
		/*
		 * The dead first: what they wrote is in their pipes by now, so
		 * a pipe that is found empty afterwards stays empty.
		 */
		if (pf[1].revents)
			reap();
		now = now_ms();
		for (i = 0; i < MAX_STREAMS; i++) {
			struct stream *s = &streams[i];

			if (!s->used)
				continue;
			flush_stdin(s);
			drain(s, &s->out, F_STDOUT);
			drain(s, &s->err, F_STDERR);
			if (s->kill_at && now >= s->kill_at) {
				kill(-s->pid, SIGKILL);
				s->kill_at = 0;
			}
			if (s->exited && s->out < 0 && s->err < 0)
				end_stream(s);
		}
	}
}

int main(void)
{
	char hello[128];
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	bring_up();
	sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	for (i = 0; i < 100 && port < 0; i++) {
		port = open_port();
		if (port < 0)
			usleep(50000);
	}
	if (port < 0) {
		say("no port %s", PORT_NAME);
		reboot(RB_POWER_OFF);
	}
	snprintf(hello, sizeof(hello), "fc-init 1 node=%d ms=%lld", node,
		 (long long)now_ms());
	send_frame(F_HELLO, 0, hello, strlen(hello));
	say("ready");
	serve();
	return 0;
}
