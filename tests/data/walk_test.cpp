#include "data/pack/files/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/pack/files/files.h"
#include "data/pack/pack.h"
#include "data/view/picture.h"
#include "tests/data/archive.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
namespace fs = std::filesystem;

auto count(const char* reason, const char* ending, int64_t files) {
  return Pair(std::pair<std::string, std::string>(reason, ending), files);
}

std::vector<std::string> names(const Walk& found) {
  std::vector<std::string> out;
  for (const Walk::File& file : found.files) out.push_back(file.name);
  return out;
}

TEST(Walk, CountsWhatItPassesOverByReasonAndEnding) {
  const Folder folder;
  for (const char* name : {"a/1.png", "b/deep/2.PNG", "3.png", ".DS_Store", "a/._1.png", "a/._2.png",
                           ".git/config", "a/.git/x", "__MACOSX/y"})
    test::put(folder / name, "x");
  fs::create_directories(folder / "empty");
  fs::create_symlink("gone", folder / "a/dangling.png");
  fs::create_symlink("loop.png", folder / "a/loop.png");
  fs::create_directory_symlink(folder.path(), folder / "b/up");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  const Walk found = walk(folder.path());
  EXPECT_THAT(names(found), ElementsAre("3.png", "a/1.png", "b/deep/2.PNG"));
  EXPECT_THAT(found.folders, ElementsAre("a", "b", "empty"));
  EXPECT_THAT(found.left_out,
              ElementsAre(count("._ file of macOS", "", 1), count("._ file of macOS", ".png", 2),
                          count("hidden", ".ds_store", 1), count("hidden", ".git", 2),
                          count("link that leads nowhere", ".png", 1),
                          count("link to a folder that it lies in", "", 1),
                          count("link to itself", ".png", 1), count("no regular file", "", 1)));
  EXPECT_THAT(names(walk(folder.path(), /*deep=*/false)), ElementsAre("3.png"));
}

TEST(Walk, CountsNoNumberAsAnEnding) {
  LeftOut all;
  for (const char* name : {"x.0001", "x.0002", "a sentence. with more and more words", "x.TXT", "noise"})
    leave_out(all, "why", name);
  EXPECT_THAT(all, ElementsAre(count("why", "", 4), count("why", ".txt", 1)));
  leave_out(all, "why", "y.txt", -1);
  EXPECT_THAT(all, ElementsAre(count("why", "", 4)));
}

TEST(Files, TellOfArchivesWhatTheyTellOfFolders) {
  const Folder folder;
  const test::Contents contents{
      {"a/1.png", "1"}, {"a/2.webm", "2"}, {"b/notes.txt", "3"}, {".DS_Store", "4"}, {"a/._1.png", "5"}};
  for (const auto& [name, bytes] : contents) test::put(folder / ("set/" + name), bytes);
  test::put_zip(folder / "set.zip", contents);
  for (const char* source : {"set", "set.zip"}) {
    const auto files =
        open_files(folder / source, [](const std::string& name) { return name.ends_with(".png"); });
    EXPECT_THAT(files->names(), ElementsAre("a/1.png")) << source;
    EXPECT_THAT(files->folders(), ElementsAre("a", "b")) << source;
    EXPECT_THAT(files->left_out(),
                ElementsAre(count("._ file of macOS", ".png", 1), count(kUnread, ".txt", 1),
                            count(kUnread, ".webm", 1), count("hidden", ".ds_store", 1)))
        << source;
  }
}

// File access as another user has it: nobody bypasses permissions but root.
class AsNobody {
 public:
  AsNobody() : done_(geteuid() != 0 || seteuid(65534) == 0) {}
  ~AsNobody() {
    if (getuid() == 0) static_cast<void>(!seteuid(0));
  }
  bool done() const { return done_; }

 private:
  bool done_;
};

TEST(Walk, SaysWhoMayReadWhatItMayNot) {
  const Folder folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  test::put(folder / "set/open/1.png", encode_png(torch::zeros({3, 2, 2}, torch::kByte)));
  test::put(folder / "set/secret/2.png", "x");
  test::put(folder / "set/listed/3.png", "x");
  ASSERT_EQ(chmod((folder / "set/secret").c_str(), 0), 0);
  const std::string secret = folder / "set/secret", listed = folder / "set/listed";
  std::string whole, inside, list;
  {
    const AsNobody nobody;
    if (!nobody.done()) GTEST_SKIP() << "this user cannot become another";
    whole = error_of([&] { open_source({.source = folder / "set", .as = "pictures"}); });
    inside = error_of([&] { open_source({.source = secret + "/x.npz"}); });
  }
  ASSERT_EQ(chmod(secret.c_str(), 0755), 0);
  ASSERT_EQ(chmod(listed.c_str(), 0744), 0);  // names may be listed, but nothing is let through
  {
    const AsNobody nobody;
    list = error_of([&] { open_source({.source = folder / "set"}); });
  }
  ASSERT_EQ(chmod(listed.c_str(), 0755), 0);
  for (const std::string& error : {whole, inside})
    EXPECT_THAT(error,
                AllOf(HasSubstr(secret + ": user "), HasSubstr("may not read it"), HasSubstr("mode is 0;"),
                      HasSubstr("chmod -R u+rwX,go+rX '" + secret), Not(HasSubstr("filesystem error"))));
  if (getuid() == 0) {
    EXPECT_THAT(list, AllOf(HasSubstr(listed + ": user "), HasSubstr("mode is 744")));
  }
}

TEST(Walk, NamesAPathThatCannotBe) {
  const std::string name(300, 'x');
  EXPECT_THAT(error_of([&] { open_source({.source = name}); }),
              AllOf(HasSubstr("cannot be read: File name too long"), Not(HasSubstr("filesystem error"))));
  const Folder folder;
  fs::create_symlink("loop", folder / "loop");
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "loop"}); }),
              HasSubstr("cannot be read: Too many levels of symbolic links"));
}

}  // namespace
}  // namespace saddle
