/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_GFP_H
#define SHIM_LINUX_GFP_H

#define __GFP_DIRECT_RECLAIM	0x01u
#define __GFP_IO		0x02u
#define __GFP_FS		0x04u
#define __GFP_ZERO		0x08u
#define __GFP_NOWARN		0x10u
#define __GFP_NORETRY		0x20u
#define __GFP_NOMEMALLOC	0x40u
#define __GFP_HIGH		0x80u
#define __GFP_NOFAIL		0x100u
#define __GFP_RETRY_MAYFAIL	0x200u

#define GFP_NOWAIT	0u
#define GFP_ATOMIC	__GFP_HIGH
#define GFP_NOIO	__GFP_DIRECT_RECLAIM
#define GFP_NOFS	(GFP_NOIO | __GFP_IO)
#define GFP_KERNEL	(GFP_NOFS | __GFP_FS)

#endif
