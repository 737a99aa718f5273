// What others named or wrote, as users see it: text, whatever its bytes.
#include "data/view/picture.h"
#include "dist/file.h"
#include "tests/data/folder.h"
#include "tests/launch/cli/cli.h"

namespace saddle {
namespace {

using nlohmann::json;
using test::put;
using test::Result;
using test::saddle;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Clears the screen, and goes on as if it were a line of ours.
const std::string kEvil = "cat\x1b[2J\nsaddle: all is well\u009b1A\u202e";
constexpr const char* kShown = "cat\\x1b[2J\\x0asaddle: all is well\\u009b1A\\u202e";

std::string png() {
  return encode_png(torch::full({3, 4, 4}, 7, torch::kByte));
}

void expect_plain(const std::string& output) {
  for (const char* raw : {"\x1b", "\u009b", "\u202e", "\nsaddle: all", "\x7f", "\a"})
    EXPECT_EQ(output.find(raw), std::string::npos) << output;
}

class OthersText : public testing::Test {
 protected:
  void pack_evil() const {
    put(folder_ / ("in/" + kEvil + "/a.png"), png());
    put(folder_ / "in/dog/b.png", png());
    packed_ = saddle(fmt::format("pack {0}/in --out {0}/out", folder_.path()));
    ASSERT_EQ(packed_.status, 0) << packed_.output;
  }

  const test::Folder folder_;
  mutable Result packed_{0, ""};
};

TEST_F(OthersText, ClassesAreShownByPackAndCheck) {
  pack_evil();
  EXPECT_THAT(packed_.output, HasSubstr(kShown));
  expect_plain(packed_.output);
  const Result check = saddle("check " + folder_ / "out");
  EXPECT_THAT(check.output, AllOf(HasSubstr(kShown), HasSubstr("verdict      sound")));
  expect_plain(check.output);
  const Result shown = saddle("check --json " + folder_ / "out");
  expect_plain(shown.output);
  EXPECT_EQ(json::parse(shown.output).at("fields").at(1).at("per_class").at(0).at("name"), kEvil);
}

TEST_F(OthersText, NamesOfDamagedFilesForgeNoLine) {
  put(folder_ / "in/a.png", png());
  put(folder_ / ("in/" + kEvil + ".png"), "none");
  const Result result = saddle(fmt::format("pack {0}/in --out {0}/out", folder_.path()));
  EXPECT_EQ(result.status, 65) << result.output;
  EXPECT_THAT(result.output, HasSubstr(std::string(kShown) + ".png: expected a PNG"));
  expect_plain(result.output);
}

TEST_F(OthersText, BytesThatAreNoUtf8HideNoError) {
  put(folder_ / "gr\xfc\xdf.npy", "none");
  put(folder_ / "in/gr\xfc\xdf.png", "none"), put(folder_ / "in/a.png", png());
  for (const int ranks : {0, 2}) {
    const Result one = saddle(fmt::format("pack '{0}/gr\xfc\xdf.npy' --out {0}/out", folder_.path()), ranks);
    EXPECT_EQ(one.status, 65) << one.output;
    EXPECT_THAT(one.output, HasSubstr("gr\\xfc\\xdf.npy: damaged or cut off"));
    const Result other = saddle(fmt::format("pack '{0}/in' --out '{0}/\xff'", folder_.path()), ranks);
    EXPECT_EQ(other.status, 65) << other.output;
    EXPECT_THAT(other.output, HasSubstr("gr\\xfc\\xdf.png: expected a PNG"));
  }
  const Result check = saddle(fmt::format("check --json '{}/\xff'", folder_.path()));
  EXPECT_THAT(check.output, HasSubstr("\\xff"));
  EXPECT_NE(check.status, 70) << check.output;
}

TEST_F(OthersText, FlightRecordsAreShown) {
  json line{{"number", 1},    {"name", kEvil},   {"bytes", 4},  {"step", 3},
            {"doing", kEvil}, {"entered", -2.0}, {"left", -1.0}};
  put(folder_ / "flight-0.jsonl", line.dump() + "\n");
  line["number"] = 2;
  put(folder_ / "flight-1.jsonl", line.dump() + "\n");
  const Result result = saddle("flight " + folder_.path());
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr(kShown), HasSubstr("rank 0 never entered")));
  expect_plain(result.output);
}

TEST_F(OthersText, WhatIsWrongWithAManifestIsShown) {
  put(folder_ / "checkpoints/step-0000000001/manifest.json", "{\"\x1b[2J\nsaddle: all is well\": \a");
  const Result result = saddle("checkpoints " + folder_.path());
  EXPECT_EQ(result.status, 65) << result.output;
  EXPECT_THAT(result.output, HasSubstr("damaged"));
  expect_plain(result.output);
}

TEST_F(OthersText, KeysOfRecipesAreShown) {
  put(folder_ / "a.toml", "system = \"cgan\"\n\"cat\\u001b[2J\\nsaddle: all is well\\u009b1A\\u202e\" = 1\n");
  const Result result = saddle(fmt::format("train {0}/a.toml --data {0} --out {0}/run", folder_.path()));
  EXPECT_EQ(result.status, 64) << result.output;
  EXPECT_THAT(result.output, HasSubstr(kShown));
  expect_plain(result.output);
}

TEST_F(OthersText, TheLimitOfSamplesIsInTheHelp) {
  EXPECT_THAT(saddle("pack --help").output, AllOf(HasSubstr("--max-sample-mib"), HasSubstr("=1024")));
  put(folder_ / "in/a.png", png());
  const Result result = saddle(fmt::format("pack {0}/in --out {0}/out --max-sample-mib 0", folder_.path()));
  EXPECT_EQ(result.status, 64) << result.output;
}

}  // namespace
}  // namespace saddle
