/* The control: must compile, or the other answers mean nothing. */
#include <linux/device-mapper.h>
#include <linux/dm-bufio.h>
#include <linux/dm-kcopyd.h>

int probe(struct dm_bufio_client *c)
{
	return dm_bufio_write_dirty_buffers(c);
}
