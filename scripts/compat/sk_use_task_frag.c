/* 6.2 and some stable kernels: a socket may refuse current's page fragment */
#include <net/sock.h>

void probe(struct sock *sk)
{
	sk->sk_use_task_frag = false;
}
