// A disk of a few KiB, for what happens when it is full. Only root mounts one: others skip the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

namespace saddle::test {

inline bool can_mount() {
  return geteuid() == 0;
}

class SmallDisk {
 public:
  // Over the folder `path`, made if missing; `size` as "64k".
  SmallDisk(std::string path, const std::string& size) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    mount(size, 0);
  }
  ~SmallDisk() { EXPECT_EQ(umount2(path_.c_str(), MNT_DETACH), 0) << strerror(errno); }
  SmallDisk(const SmallDisk&) = delete;
  void resize(const std::string& size) { mount(size, MS_REMOUNT); }

 private:
  void mount(const std::string& size, unsigned long flags) {
    EXPECT_EQ(::mount("none", path_.c_str(), "tmpfs", flags, ("size=" + size).c_str()), 0) << strerror(errno);
  }
  std::string path_;
};

}  // namespace saddle::test
