#include "data/pack/files/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/data/archive.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

bool everything(const std::string&) {
  return true;
}

std::string text(size_t i, size_t length = 5000) {
  std::string out(length, '\0');
  for (size_t k = 0; k < length; ++k) out[k] = char((k * k * (i + 1)) >> 3);
  return out;
}

TEST(Files, ListsFoldersAndArchivesAlike) {
  const Folder folder;
  for (const char* name : {"b/2.txt", "b/10.txt", "a.txt", "b.txt", "c/d/e.txt"})
    test::put(folder / ("set/" + std::string(name)), name);
  for (const char* name : {".hidden", "b/.DS_Store", ".git/x.txt"})
    test::put(folder / ("set/" + std::string(name)), "");
  test::put_zip(folder / "set.zip", {{"set/c/d/e.txt", "c/d/e.txt"},
                                     {"set/b\\2.txt", "b/2.txt"},
                                     {"set/b/10.txt", "b/10.txt"},
                                     {"__MACOSX/set/._a.txt", ""},
                                     {"set/a.txt", "a.txt"},
                                     {"set/b.txt", "b.txt"}});
  for (const char* name : {"set", "set/", "set.zip"}) {
    const auto files = open_files(folder / name, everything);
    EXPECT_THAT(files->names(), ElementsAre("a.txt", "b.txt", "b/10.txt", "b/2.txt", "c/d/e.txt")) << name;
    for (size_t i = 0; i < files->count(); ++i) {
      EXPECT_EQ(files->read(i), files->names()[i]) << name;
      EXPECT_EQ(files->read(i, 2), files->names()[i].substr(0, 2)) << name;
      EXPECT_EQ(files->bytes(i), int64_t(files->names()[i].size()));
      EXPECT_EQ(files->find(files->names()[i]), i);
    }
    EXPECT_EQ(files->find("b"), std::nullopt);
    EXPECT_EQ(files->identity()["files"], 5);
  }
}

TEST(Files, ChangeTheirIdentityWithTheirContent) {
  const Folder folder;
  test::put(folder / "set/a", "1");
  const auto before = open_files(folder / "set", everything)->identity();
  EXPECT_EQ(open_files(folder / "set", everything)->identity(), before);
  test::put(folder / "set/a", "12");
  EXPECT_NE(open_files(folder / "set", everything)->identity(), before);
}

TEST(Files, FollowLinksButNotInCircles) {
  const Folder folder;
  test::put(folder / "elsewhere/x", "1");
  test::put(folder / "set/a/y", "1");
  std::filesystem::create_directory_symlink(folder / "elsewhere", folder / "set/link");
  std::filesystem::create_directory_symlink(folder / "set", folder / "set/a/up");
  std::filesystem::create_directory_symlink(folder / "set/a", folder / "set/a/here");
  EXPECT_THAT(open_files(folder / "set", everything)->names(), ElementsAre("a/y", "link/x"));
}

TEST(Files, AreReadByManyThreads) {
  const Folder folder;
  test::Contents contents;
  for (size_t i = 0; i < 40; ++i) contents.emplace_back(fmt::format("{:02}", i), text(i));
  test::put_zip(folder / "set.zip", contents);
  const auto files = open_files(folder / "set.zip", everything);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (size_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 200; ++i) wrong += files->read((i * 7 + t) % 40) != text((i * 7 + t) % 40);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Every byte of an archive in turn is made another: it is refused, or what is read is what was written.
TEST(Files, NeverReadWhatWasNotWritten) {
  const Folder folder;
  const test::Contents contents{{"a/one.txt", text(1, 100)}, {"two.txt", text(2, 90)}};
  test::put_zip(folder / "set.zip", contents);
  const std::string intact = read_file(folder / "set.zip");
  int refused = 0;
  for (size_t at = 4; at < intact.size(); ++at)
    for (int change : {1, 0x80, 0xff}) {
      std::string bytes = intact;
      bytes[at] = char(bytes[at] ^ change);
      test::put(folder / "bad.zip", bytes);
      try {
        const auto files = open_files(folder / "bad.zip", everything);
        for (size_t i = 0; i < files->count(); ++i) {
          const std::string found = files->read(i);
          EXPECT_TRUE(found == contents[0].second || found == contents[1].second) << at << " " << change;
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.kind, Exit::data) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("bad.zip"));
        ++refused;
      }
    }
  EXPECT_GT(refused, 300);
}

TEST(Files, RefuseSizesThatNothingCanHave) {
  const Folder folder;
  test::put_zip(folder / "set.zip", {{"a", std::string(1 << 20, 'x')}});
  std::string bytes = read_file(folder / "set.zip");
  const size_t central = bytes.find("PK\1\2");
  bytes.replace(central + 24, 4, std::string("\xff\xff\xff\x7e"));  // claims 2 GiB
  test::put(folder / "huge.zip", bytes);
  EXPECT_THAT(error_of([&] { open_files(folder / "huge.zip", everything)->read(0); }),
              AllOf(HasSubstr("huge.zip:a"), HasSubstr("damaged")));
  bytes.replace(central + 24, 4, std::string("\x05\0\0\0", 4));  // claims less than there is
  test::put(folder / "long.zip", bytes);
  EXPECT_THAT(error_of([&] { open_files(folder / "long.zip", everything)->read(0); }),
              AllOf(HasSubstr("long.zip:a"), HasSubstr("damaged")));
}

TEST(Files, RefuseWhatIsNoArchive) {
  const Folder folder;
  test::put(folder / "text.zip", "not an archive");
  EXPECT_FALSE(is_archive(folder / "text.zip"));
  EXPECT_THAT(error_of([&] { open_files(folder / "text.zip", everything); }), HasSubstr("text.zip"));
  test::put(folder / "cut.zip", "PK\3\4 and no more");
  EXPECT_THAT(error_of([&] { open_files(folder / "cut.zip", everything); }), HasSubstr("damaged ZIP"));
  EXPECT_THAT(error_of([&] { open_files(folder / "nothing", everything); }), HasSubstr("nothing"));
}

TEST(Files, ReplaceWhatIsNoUtf8) {
  EXPECT_EQ(readable("größe"), "größe");
  EXPECT_EQ(readable("gr\xf6\xdf"
                     "e/x"),
            "gr\xef\xbf\xbd\xef\xbf\xbd"
            "e/x");
}

TEST(Files, TakeNamesApart) {
  EXPECT_EQ(stem_of("a.b/c.png"), "a.b/c");
  EXPECT_EQ(stem_of("a.b/c"), "a.b/c");
  EXPECT_EQ(stem_of("c.tar.gz"), "c.tar");
  EXPECT_EQ(base_of("a/b/c.png"), "c.png");
  EXPECT_EQ(base_of("c.png"), "c.png");
}

}  // namespace
}  // namespace saddle
