// SPDX-License-Identifier: Apache-2.0
// What a test asks of the stand-in itself. Exported from whatever links it, for ctypes.
#pragma once

#define RMBG_STAND_IN_EXPORT extern "C" __attribute__((visibility("default")))

/// Lets a later call of a function of the runtime fail: the next one for after = 0. An error after which a GPU is lost
/// (cudaErrorIllegalAddress and its like) is given by all calls from then on. Returns 0, or 1 for bad arguments.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_fail(const char* call, int after, int error);

/// Forgets failures asked for, the loss of the device and the work it left undone, this thread's last error, and all
/// counts.
RMBG_STAND_IN_EXPORT void rmbg_stand_in_reset();

/// Calls of a function of the runtime so far, the failed ones included.
RMBG_STAND_IN_EXPORT long rmbg_stand_in_calls(const char* call);

/// What is live: "device_bytes", "pinned_bytes", "streams", "events", "graphs", "graph_execs"; -1 for another word.
RMBG_STAND_IN_EXPORT long rmbg_stand_in_live(const char* what);

/// Makes a foreign context current in this thread, or none.
RMBG_STAND_IN_EXPORT void rmbg_stand_in_foreign_context(int wanted);

/// Whether any context is current in this thread.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_context_is_current();

/// A bit for each device that has a primary context.
RMBG_STAND_IN_EXPORT unsigned long long rmbg_stand_in_contexts();

/// What a program beside ours may do, as torch.cuda.graph does: begins to capture a stream of its own in this thread
/// (one at a time), in a mode of cudaStreamCaptureMode, and ends it. Each gives CUDA's error: 0 for a capture that is
/// whole.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_begin_capture(int mode);
RMBG_STAND_IN_EXPORT int rmbg_stand_in_end_capture();
/// The handle of that stream.
RMBG_STAND_IN_EXPORT unsigned long long rmbg_stand_in_captured_stream();

/// Bytes copied so far from memory of the runtime that were 0xCD, as it begins: those that nobody wrote, where no data
/// has that value.
RMBG_STAND_IN_EXPORT long rmbg_stand_in_fresh_bytes_copied();

/// Writes the functions of the kernels that ran so far to `functions`, `room` of them at most; returns how many ran.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_kernels_run(const void** functions, int room);
