// SPDX-License-Identifier: Apache-2.0
// A list of all fork-aware objects, and one set of handlers for pthread_atfork.
#include "core/fork.h"

#include <atomic>
#include <mutex>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define RMBG_HAS_FORK 1
#endif

namespace rmbg {
namespace {

std::atomic<unsigned> g_generation{0};

}  // namespace

unsigned fork_generation() { return g_generation.load(std::memory_order_relaxed); }

struct ForkList {
  std::mutex mutex;  // held during a fork; the thread that called fork() unlocks it on both sides
  ForkAware* first = nullptr;

  static ForkList& instance() {
    static ForkList* list = new ForkList;  // never destroyed: the program may fork while it ends
    return *list;
  }

  ForkList() {
#ifdef RMBG_HAS_FORK
    pthread_atfork(before, in_parent, in_child);
#endif
  }

  static void before() {
    ForkList& list = instance();
    list.mutex.lock();
    for (ForkAware* object = list.first; object != nullptr; object = object->next_) object->before_fork();
  }

  static void in_parent() {
    ForkList& list = instance();
    for (ForkAware* object = list.first; object != nullptr; object = object->next_) object->after_fork_in_parent();
    list.mutex.unlock();
  }

  static void in_child() {
    ForkList& list = instance();
    g_generation.fetch_add(1, std::memory_order_relaxed);
    for (ForkAware* object = list.first; object != nullptr; object = object->next_) object->after_fork_in_child();
    list.mutex.unlock();
  }

  static void add(ForkAware& object) {
    ForkList& list = instance();
    const std::lock_guard lock(list.mutex);
    object.next_ = list.first;
    if (list.first != nullptr) list.first->previous_ = &object;
    list.first = &object;
  }

  static void remove(ForkAware& object) {
    ForkList& list = instance();
    const std::lock_guard lock(list.mutex);
    (object.previous_ != nullptr ? object.previous_->next_ : list.first) = object.next_;
    if (object.next_ != nullptr) object.next_->previous_ = object.previous_;
  }
};

void ForkAware::watch_forks() { ForkList::add(*this); }
void ForkAware::ignore_forks() { ForkList::remove(*this); }

}  // namespace rmbg
