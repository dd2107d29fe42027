/* 6.17: the limit of write-zeroes that unmap is a limit of its own */
#include <linux/blkdev.h>

unsigned int probe(struct queue_limits *limits);
unsigned int probe(struct queue_limits *limits)
{
	return limits->max_hw_wzeroes_unmap_sectors;
}
