// SPDX-License-Identifier: Apache-2.0
// Owns the objects behind one kind of handle, so that the use of a destroyed handle is detected.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <utility>

namespace stand_in {

template <typename T>
class Handles {
 public:
  T* add(std::unique_ptr<T> object) {
    T* const handle = object.get();
    live_.emplace(handle, std::move(object));
    return handle;
  }
  bool has(T* handle) const { return live_.count(handle) != 0; }
  /// Whether there was something to remove.
  bool remove(T* handle) { return live_.erase(handle) != 0; }
  std::size_t size() const { return live_.size(); }

  template <typename F>
  void for_each(F&& f) const {
    for (const auto& entry : live_) f(*entry.first);
  }

 private:
  std::unordered_map<T*, std::unique_ptr<T>> live_;
};

/// All live handles of a kind. Never destroyed: at the end of a process others may still call.
template <typename T>
Handles<T>& live() {
  static auto* const handles = new Handles<T>;
  return *handles;
}

}  // namespace stand_in
