/* get_or_set: what fork must know of the keys being computed. */
#ifndef KVI_COMPUTING_H
#define KVI_COMPUTING_H

void kvi_once_lock(void);
void kvi_once_unlock(void);
/* In a child, locked: nobody computes any more. */
void kvi_once_forget(void);

#endif
