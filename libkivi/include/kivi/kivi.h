/**
 * libkivi: one key-value API for every store and every language.
 *
 * A C program includes this header alone:
 *
 *     kivi_store *store;
 *     kivi_error *error;
 *     kivi_buffer value = KIVI_BUFFER_INIT;
 *     if (kivi_store_open("lmdb:data.mdb", NULL, NULL, &store, &error)) { puts(kivi_error_message(error)); ... }
 *     kivi_store_set(store, NULL, kivi_str("greeting"), kivi_str("\xa5hello"), KIVI_TTL_NONE, &error);
 *     kivi_store_get(store, NULL, kivi_str("greeting"), &value, &error);
 *
 * The parts: base.h (slices, status), error.h, buffer.h, call.h (deadlines, interrupts), options.h,
 * event.h, store.h (single keys), batch.h (many keys, the general write), scan.h, value.h (reading and
 * writing typed values), info.h (capabilities, statistics, health), copy.h, queue.h (event loops). Authors of backends include
 * backend.h as well.
 */
#ifndef KIVI_KIVI_H
#define KIVI_KIVI_H

#include <kivi/base.h>
#include <kivi/batch.h>
#include <kivi/buffer.h>
#include <kivi/call.h>
#include <kivi/copy.h>
#include <kivi/error.h>
#include <kivi/event.h>
#include <kivi/info.h>
#include <kivi/options.h>
#include <kivi/queue.h>
#include <kivi/scan.h>
#include <kivi/store.h>
#include <kivi/value.h>

#endif
