// `saddle check` as users start it, plainly and on two ranks: what it prints, writes and ends with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/store/shard_writer.h"
#include "data/view/picture.h"
#include "dist/file.h"
#include "tests/data/folder.h"
#include "tests/support/images.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Result;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Result check(const std::string& arguments, int ranks) {
  return test::shell(test::on_ranks(ranks) + "timeout 120 " SADDLE_BINARY " check " + arguments);
}

class Check : public testing::Test {
 protected:
  // Labelled pictures, from number `first` on, in shards of 20.
  void write(const std::string& name, int64_t first = 0) const {
    const auto data = test::images(100 + first);
    std::vector<int64_t> samples(100);
    for (size_t i = 0; i < samples.size(); ++i) samples[i] = first + int64_t(i);
    fs::create_directories(folder_ / name);
    ShardWriter writer(folder_ / name, data->schema(), 20 * (256 + 8 + 16));
    writer.append(data->read(samples));
    writer.finish({{"source", "test"}});
  }

  const test::Folder folder_;
};

TEST_F(Check, PrintsFiguresAndClassesOfASoundSet) {
  write("set");
  for (const int ranks : {0, 2}) {
    const Result result = check(folder_ / "set", ranks);
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output,
                AllOf(HasSubstr("samples      100"), HasSubstr("image  uint8  [1, 16, 16]"),
                      HasSubstr("samples of 3 classes of label"), HasSubstr("verdict      sound")));
  }
}

TEST_F(Check, PrintsOneJsonObjectThatDoesNotDependOnRanks) {
  write("set");
  json one = json::parse(check(folder_ / "set --json", 0).output);
  json two = json::parse(check(folder_ / "set --json", 2).output);
  EXPECT_EQ(one.at("sound"), true);
  EXPECT_EQ(one.at("samples"), 100);
  EXPECT_EQ(one.at("fields").at(0).at("values"), 25600);
  int64_t labelled = 0;
  for (const auto& each : one.at("fields").at(1).at("per_class")) labelled += each.at("count").get<int64_t>();
  EXPECT_EQ(labelled, 100);
  one.erase("seconds"), two.erase("seconds");
  EXPECT_EQ(one, two);
}

TEST_F(Check, WritesAContactSheetAndAPage) {
  write("set");
  const Result result = check(
      fmt::format("{} --picture {} --report {}", folder_ / "set", folder_ / "a.png", folder_ / "a.html"), 2);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr(folder_ / "a.png"), HasSubstr(folder_ / "a.html")));
  EXPECT_GE(read_picture(folder_ / "a.png", 3).size(2), 450);
  EXPECT_THAT(read_file(folder_ / "a.html"), AllOf(HasSubstr("is sound"), HasSubstr("base64")));
}

TEST_F(Check, NamesTheFaultAndEndsWith65OnAllRanks) {
  write("set");
  const std::string shard = folder_ / "set/shard-00003.h5";
  std::string bytes = read_file(shard);
  bytes[bytes.size() / 2] ^= 4;
  test::put(shard, bytes);
  for (const int ranks : {0, 2}) {
    const Result result = check(
        fmt::format("{} --picture {} --report {}", folder_ / "set", folder_ / "b.png", folder_ / "b.html"),
        ranks);
    EXPECT_EQ(result.status, 65);
    EXPECT_THAT(result.output,
                AllOf(HasSubstr("shard-00003.h5: field image of sample"), HasSubstr("1 problem"),
                      HasSubstr("none of"), Not(HasSubstr("saddle: "))));
    EXPECT_THAT(read_file(folder_ / "b.html"), HasSubstr("has 1 problem"));
    EXPECT_FALSE(fs::exists(folder_ / "b.png"));
  }
  EXPECT_EQ(check(folder_ / "set --json | grep -q '\"sound\": false'", 0).status, 0);
}

TEST_F(Check, ChecksBothPartsOfASplitSet) {
  write("set/train"), write("set/validation", 95);
  const Result both = check(fmt::format("{} --picture {}", folder_ / "set", folder_ / "c.png"), 2);
  EXPECT_EQ(both.status, 0) << both.output;
  EXPECT_THAT(both.output,
              AllOf(HasSubstr("set/train"), HasSubstr("set/validation"), HasSubstr("5 samples are also in")));
  EXPECT_TRUE(fs::exists(folder_ / "c.png") && fs::exists(folder_ / "c-validation.png"));
  const json found = json::parse(check(folder_ / "set --json", 0).output);
  EXPECT_EQ(found.at("train").at("samples"), 100);
  EXPECT_EQ(found.at("sound"), true);
  fs::remove(folder_ / "set/validation/shard-00000.h5");
  EXPECT_EQ(check(folder_ / "set", 2).status, 65);
}

TEST_F(Check, IsOneErrorWithoutADataSet) {
  for (const int ranks : {0, 2}) {
    const Result result = check(folder_.path(), ranks);
    EXPECT_EQ(result.status, 65);
    EXPECT_THAT(result.output, AllOf(HasSubstr("saddle: no data set in"),
                                     HasSubstr("`saddle pack SOURCE --out DIR` makes one")));
  }
}

TEST_F(Check, SaysWhatItCanDraw) {
  const Field tokens{
      .name = "x", .shape = {3}, .dtype = torch::kLong, .classes = 2, .class_names = {"a", "b"}};
  ShardWriter writer(folder_.path(), {{tokens}}, 1 << 20);
  writer.append({{"x", torch::tensor({0, 1, 1, 1, 0, 0}, torch::kLong).view({2, 3})}});
  writer.finish({});
  const Result picture = check(fmt::format("{} --picture {}", folder_.path(), folder_ / "d.png"), 2);
  EXPECT_EQ(picture.status, 64);
  EXPECT_THAT(picture.output, HasSubstr("nothing to draw"));
  EXPECT_EQ(check(fmt::format("{} --report {}", folder_.path(), folder_ / "d.html"), 2).status, 0);
  EXPECT_THAT(read_file(folder_ / "d.html"), AllOf(HasSubstr(">abb<"), HasSubstr(">baa<")));
}

}  // namespace
}  // namespace saddle
