/* 6.17: a workqueue says whether it is per CPU */
#include <linux/workqueue.h>

int probe(void)
{
	return WQ_PERCPU;
}
