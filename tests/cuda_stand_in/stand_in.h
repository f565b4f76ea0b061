// SPDX-License-Identifier: Apache-2.0
// Functions with which tests control the stand-in. Exported from whatever links it, for ctypes.
#pragma once

#define RMBG_STAND_IN_EXPORT extern "C" __attribute__((visibility("default")))

/// Makes a later call of a runtime function fail: the next one for after = 0. After a fatal error (such as
/// cudaErrorIllegalAddress) all later calls return it. Returns 0, or 1 for bad arguments.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_fail(const char* call, int after, int error);

/// Resets requested failures, the loss of the device and its unfinished work, this thread's last error, and all counts.
RMBG_STAND_IN_EXPORT void rmbg_stand_in_reset();

/// Calls of a function of the runtime so far, the failed ones included.
RMBG_STAND_IN_EXPORT long rmbg_stand_in_calls(const char* call);

/// The live amount of "device_bytes", "pinned_bytes", "streams", "events", "graphs" or "graph_execs"; -1 for other
/// names.
RMBG_STAND_IN_EXPORT long rmbg_stand_in_live(const char* what);

/// Makes a foreign context current in this thread, or none.
RMBG_STAND_IN_EXPORT void rmbg_stand_in_foreign_context(int wanted);

/// Whether any context is current in this thread.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_context_is_current();

/// A bit for each device that has a primary context.
RMBG_STAND_IN_EXPORT unsigned long long rmbg_stand_in_contexts();

/// Begins and ends a capture as another library (torch.cuda.graph) would: on a stream of its own in this thread, one at
/// a time, in a mode of cudaStreamCaptureMode. Both return CUDA's error; 0 means that the capture is valid.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_begin_capture(int mode);
RMBG_STAND_IN_EXPORT int rmbg_stand_in_end_capture();
/// The handle of that stream.
RMBG_STAND_IN_EXPORT unsigned long long rmbg_stand_in_captured_stream();

/// Bytes with the initial value 0xCD that were copied from the runtime's memory: uninitialized, if no data has that
/// value.
RMBG_STAND_IN_EXPORT long rmbg_stand_in_fresh_bytes_copied();

/// Writes the functions of the kernels that ran so far to `functions`, `room` of them at most; returns how many ran.
RMBG_STAND_IN_EXPORT int rmbg_stand_in_kernels_run(const void** functions, int room);
