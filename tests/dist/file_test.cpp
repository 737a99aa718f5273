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

TEST_F(FileTest, WhatIsLargerThanAskedForIsNotRead) {
  write_file(path("small"), "1234");
  EXPECT_EQ(read_file(path("small"), 4), "1234");
  fs::resize_file(path("small"), int64_t{1} << 40);  // a hole
  try {
    read_file(path("small"), 1 << 20);
    FAIL() << "read a file of 1 TiB";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, Exit::data);
    EXPECT_THAT(e.what(), HasSubstr("at most 1048576 bytes, found 1099511627776"));
  }
}

TEST_F(FileTest, OnlyAFileOrNothingIsPlain) {
  require_plain(path("nothing"));
  write_file(path("file"), "");
  require_plain(path("file"));
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  fs::create_symlink("nowhere", path("dangling"));
  for (const auto& [name, kind] : {std::pair("fifo", "a FIFO"), std::pair("dangling", "a link")})
    EXPECT_THAT(refusal([&] { require_plain(path(name)); }), HasSubstr(kind));
  EXPECT_THAT(refusal([&] { require_plain(dir_); }), HasSubstr("a folder"));
}

TEST_F(FileTest, IsReadHereAndThereAndNotBeyondItsEnd) {
  write_file(path("file"), "abcdef");
  const InputFile file(path("file"));
  EXPECT_EQ(file.size(), 6);
  std::string two(2, ' ');
  file.read(3, two.data(), 2);
  EXPECT_EQ(two, "de");
  EXPECT_THROW(file.read(5, two.data(), 2), Error);
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
