// SPDX-License-Identifier: Apache-2.0
// The device that a thread works with: that of its current context, or the one it would make a context on.
#pragma once

namespace stand_in {

/// For calls that only query.
int current_device();

/// For calls that use the device: creates its primary context if needed, and makes it current.
int use_device();

/// As cudaSetDevice, for a device that exists.
void select_device(int device);

}  // namespace stand_in
