// Checkpoints of others: manifests that claim, point elsewhere, or are of other types, with checksums that
// fit.
#include "dist/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "dist/checkpoint.h"
#include "dist/file.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class Manifest : public testing::Test {
 protected:
  const std::string dir_ = testing::TempDir() + "saddle_manifest_" + std::to_string(::getpid());
  const std::string newest_ = dir_ + "/step-0000000002", path_ = newest_ + "/manifest.json";

  void SetUp() override {
    for (const int64_t step : {1, 2}) {
      State state{.tensors = {{"a", torch::full({3}, double(step))}}, .numbers = {{"step", step}}};
      save_checkpoint(World::alone(), dir_,
                      {.step = step,
                       .state = state,
                       .about = {{"options", {{"batch", "4"}}}, {"data", "f00d"}, {"schema", json::object()}},
                       .folder = {}},
                      {.newest = 9});
    }
    whole_ = json::parse(read_file(path_));
  }
  void TearDown() override { fs::remove_all(dir_); }

  // Writes it with the checksum that it should have.
  void put(json manifest) const {
    manifest.erase("xxh3_128");
    manifest["xxh3_128"] = hash_text(manifest.dump());
    write_file(path_, manifest.dump());
  }
  std::string damage() const { return list_checkpoints(dir_, true).back().damage; }
  void expect_older(const std::string& why) const {
    EXPECT_THAT(damage(), HasSubstr(why));
    const auto loaded = load_checkpoint(dir_);
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->step, 1) << why;
  }
  void expect_older(const std::string& pointer, const json& value, const std::string& why) const {
    json changed = whole_;
    changed[json::json_pointer(pointer)] = value;
    put(changed);
    expect_older(why);
  }
  std::string file() const { return whole_.at("files").at(0).at("file"); }

  json whole_;
};

TEST_F(Manifest, OfOtherTypesIsPassedOver) {
  put(whole_);
  EXPECT_EQ(load_checkpoint(dir_)->step, 2) << "the tests write it well";
  expect_older("/step", "2", "step: expected an integer that is not negative, found \"2\"");
  expect_older("/step", 1e300, "step: expected an integer");
  expect_older("/step", 3, "is of step 3");
  expect_older("/format", nullptr, "format: expected an integer, found null");
  expect_older("/tensors", -1, "tensors: expected an integer that is not negative, found -1");
  expect_older("/world_size", true, "world_size: expected");
  expect_older("/time", 3, "time: expected a text, found 3");
  expect_older("/score", "low", "score: expected a number, found \"low\"");
  expect_older("/numbers", json::array(), "numbers: expected an object, found []");
  expect_older("/numbers/step", "two", "numbers: \"step\": expected a number, found \"two\"");
  expect_older("/numbers/step", 1, "its state of step 1");
  expect_older("/about", 7, "about: expected an object, found 7");
  expect_older("/about/options", "x", "options: expected an object, found \"x\"");
  expect_older("/about/options/batch", 4, "options: \"batch\": expected a text, found 4");
  expect_older("/about/versions", json{{"saddle", nullptr}},
               "versions: \"saddle\": expected a text, found null");
  expect_older("/about/data", json::object(), "data: expected a text, found {}");
  expect_older("/about/schema", "x", "schema: expected an object");
  expect_older("/files", json::object(), "files: expected a list, found {}");
  expect_older("/files/0", 3, "expected an object with \"file\", found 3");
  expect_older("/files/0/bytes", "9", "bytes: expected an integer");
  expect_older("/files/0/bytes", -9, "bytes: expected an integer that is not negative");
  expect_older("/files/0/xxh3_128", 0, "xxh3_128: expected a text");
}

TEST_F(Manifest, OfAnyDepthAndSizeIsPassedOver) {
  for (const std::string& text : {std::string(200'000, '['), std::string("[]"), std::string("null"),
                                  R"({"a":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}"}) {
    write_file(path_, text);
    expect_older("broken manifest");
  }
  fs::resize_file(path_, int64_t{1} << 40);
  expect_older("at most 16777216 bytes");
}

TEST_F(Manifest, NamesFilesOfItsOwnFolderOnly) {
  for (const char* name : {"", ".", "..", "../step-0000000001/manifest.json", "/etc/passwd", "a/b", "./a"})
    expect_older("/files/0/file", name, "expected the name of a file beside the manifest");
  expect_older("/files/0/file", std::string("a\0b", 3), "expected the name of a file");
  json twice = whole_;
  twice["files"].push_back(twice["files"][0]);
  put(twice);
  expect_older("is listed twice");
}

TEST_F(Manifest, HasNoLinksThatLeadOut) {
  put(whole_);
  const std::string own = newest_ + "/" + file(), outside = dir_ + "/outside";
  fs::rename(own, outside);
  fs::create_symlink("../outside", own);
  expect_older("is a link that leads out of the checkpoint");
  fs::remove(own);
  fs::rename(outside, newest_ + "/beside");
  fs::create_symlink("beside", own);
  EXPECT_EQ(load_checkpoint(dir_)->step, 2);
  fs::rename(path_, outside);
  fs::create_symlink(outside, path_);
  expect_older("is a link that leads out of the checkpoint");
}

TEST_F(Manifest, AndItsFilesAreNothingThatIsWaitedFor) {
  put(whole_);
  const std::string own = newest_ + "/" + file();
  for (const std::string& path : {own, path_}) {
    const std::string bytes = read_file(path);
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    expect_older(path == own ? "is no file" : "a FIFO");
    fs::remove(path);
    fs::create_directory(path);
    expect_older(path == own ? "is no file" : "a folder");
    fs::remove(path);
    fs::create_symlink("/dev/zero", path);
    expect_older("leads out");
    fs::remove(path);
    fs::create_symlink("nowhere", path);
    expect_older("leads out");
    fs::remove(path);
    write_file(path, bytes);
  }
}

TEST_F(Manifest, AllDamagedIsAnErrorOfTheData) {
  for (const char* step : {"/step-0000000001", "/step-0000000002"})
    write_file(dir_ + step + "/manifest.json", std::string(200'000, '['));
  try {
    load_checkpoint(dir_);
    FAIL() << "loaded a damaged checkpoint";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, Exit::data);
    EXPECT_THAT(e.what(), HasSubstr("none of the 2 checkpoints"));
  }
}

}  // namespace
}  // namespace saddle
