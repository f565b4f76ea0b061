// SPDX-License-Identifier: Apache-2.0
// The device that a thread works with: that of its current context, or the one it would make a context on.
#pragma once

namespace stand_in {

/// For those who only ask.
int current_device();

/// For those who put something there: makes its primary context if there is none, and current.
int use_device();

/// As cudaSetDevice, for a device that exists.
void select_device(int device);

}  // namespace stand_in
