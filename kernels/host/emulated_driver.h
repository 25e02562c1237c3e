// SPDX-License-Identifier: Apache-2.0
//
// The driver of the emulated device: what CUDA's runtime offers besides launches, as plain C
// functions of the emulated library. A stream of this file is what tk_cuda_* functions take as
// `stream`; null is a stream that runs everything at once and never captures.
//
// Functions that return int return 0 or one of CUDA's error codes (cudaError_t);
// tk_emulated_last_error() says more. As on a device, the error of a launch reaches the caller at
// the next call for the stream, and stays: the stream is lost. Other streams are not.
//
// Streams may be used by several threads at the same time, each stream by one.

#pragma once

#include <stdint.h>

#include "tokamak/tokamak.h"

#if defined(__cplusplus)
extern "C" {
#endif

/** What went wrong in the last failed call of this thread; never null. */
TK_API const char* tk_emulated_last_error(void);

// ---- settings -----------------------------------------------------------------------------

/** For all that begins from now on.
 *  order    threads and blocks run first come first served (0), the last first (1), by the seed (2)
 *  copies   asynchronous copies of kernels land when they are waited for (0), at once (1), by the
 *           seed (2)
 *  streams  work runs as it is submitted (0), or when the stream is synchronized (1)
 *  Returns 1 (invalid value) for other numbers. */
TK_API int tk_emulated_settings(int order, int copies, int streams, int64_t seed);

/** Bytes of memory that the device has; allocations beyond fail. At first: 2^40. */
TK_API int tk_emulated_memory_limit(int64_t bytes);

/** The device's memory and what is free of it, in bytes. */
TK_API int64_t tk_emulated_memory_total(void);
TK_API int64_t tk_emulated_memory_free(void);

enum { TK_EMULATED_STATISTICS = 9 };

/** Counted by the launches of this thread since it last asked. out: [0] launches; [1] blocks;
 *  [2] switches between threads; [3] collectives of warps; [4] of these, products on tensor cores;
 *  [5] barriers of blocks; [6] phases of matrix loads (eight rows of 16 bytes); [7] further cycles
 *  of those because of bank conflicts; [8] further cycles of shared accesses that kernels declare
 *  by ptx::count_conflicts. */
TK_API void tk_emulated_statistics(int64_t* out);

// ---- memory -------------------------------------------------------------------------------

/** Memory of the device, aligned to 256 bytes, full of 0xff (NaNs); null: there is not enough. */
TK_API void* tk_emulated_allocate(int64_t bytes);

/** 1: this is no address of an allocation. 700: something was written beside it. */
TK_API int tk_emulated_free(void* address);

// ---- streams ------------------------------------------------------------------------------

TK_API void* tk_emulated_stream_create(void);
/** Work that waits is run before. */
TK_API int tk_emulated_stream_free(void* stream);

/** Copies between the memories of device and host, in any direction. */
TK_API int tk_emulated_copy(void* stream, void* to, const void* from, int64_t bytes);
/** Sets bytes to a value, 0 .. 255. */
TK_API int tk_emulated_set(void* stream, void* address, int value, int64_t bytes);

/** The stream's error, if any; 700 if something was written beside an allocation; 900 while the
 *  stream captures. */
TK_API int tk_emulated_synchronize(void* stream);

/** From now on the stream fails with this error, as if a kernel had met it. */
TK_API int tk_emulated_lose(void* stream, int error);

// ---- graphs -------------------------------------------------------------------------------

/** From now on the stream records its work instead of running it. */
TK_API int tk_emulated_capture_begin(void* stream);
/** Ends that: the graph of what was recorded; null if the stream does not capture. */
TK_API void* tk_emulated_capture_end(void* stream);
/** Launches or copies that the graph has. */
TK_API int64_t tk_emulated_graph_size(const void* graph);
TK_API int tk_emulated_graph_launch(void* graph, void* stream);
TK_API void tk_emulated_graph_free(void* graph);

#if defined(__cplusplus)
}
#endif
