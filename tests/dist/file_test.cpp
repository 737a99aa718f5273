// Files as other people and other programs leave them where saddle reads and writes.
#include "dist/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(dir_); }
  void TearDown() override { fs::remove_all(dir_); }
  std::string path(const std::string& name) const { return dir_ + name; }
  std::string dir_ = testing::TempDir() + "saddle_file_" + std::to_string(::getpid()) + "/";
};

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, Exit::io);
    return e.what();
  }
  return "no error";
}

TEST_F(FileTest, AFifoOrADeviceIsNotWaitedFor) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  for (const auto& [name, kind] :
       {std::pair(path("fifo"), "a FIFO"), std::pair(std::string("/dev/zero"), "a device"),
        std::pair(dir_, "a folder")}) {
    EXPECT_THAT(refusal([&] { read_file(name); }), HasSubstr(kind));
    EXPECT_THAT(refusal([&] { hash_file(name); }), HasSubstr(kind));
  }
}

TEST_F(FileTest, ALinkAtTheTemporaryNameIsNotFollowed) {
  write_file(path("precious"), "kept");
  fs::create_symlink(path("precious"), path("out.tmp"));
  write_file(path("out"), "new");
  EXPECT_EQ(read_file(path("precious")), "kept");
  EXPECT_EQ(read_file(path("out")), "new");
  EXPECT_FALSE(fs::is_symlink(path("out")));
}

TEST_F(FileTest, AFailedWriteLeavesNothing) {
  fs::create_directories(path("out/inside"));  // no file can take this name
  EXPECT_THAT(refusal([&] { write_file(path("out"), "new"); }), HasSubstr("out"));
  EXPECT_FALSE(fs::exists(path("out.tmp")));
  EXPECT_TRUE(fs::exists(path("out/inside")));
}

TEST_F(FileTest, WhatAKilledWriterLeftIsReplaced) {
  write_file(path("out.tmp"), "half");
  write_file(path("out"), "whole");
  EXPECT_EQ(read_file(path("out")), "whole");
  EXPECT_FALSE(fs::exists(path("out.tmp")));
}

}  // namespace
}  // namespace saddle
