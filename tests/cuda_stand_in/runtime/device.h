// SPDX-License-Identifier: Apache-2.0
// The device that a thread works with.
#pragma once

namespace stand_in {

int current_device();

}  // namespace stand_in
