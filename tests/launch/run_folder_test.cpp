// What makes a run another one, so that it is not resumed.
#include "launch/run/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "dist/error.h"
#include "launch/run/log_file.h"

namespace saddle {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Differences : public testing::Test {
 protected:
  void SetUp() override {
    start_.resolve("system = \"gan-ns\"\n", "start", {});
    then_ = {{"options", json::object()}, {"data", "f00d"}};
    for (const auto& option : start_.table.options()) then_["options"][option.key] = text_of(option);
  }
  std::vector<std::string> of(const std::vector<std::string>& sets, const std::string& data = "f00d") {
    saddle::Run now;
    now.resolve("system = \"gan-ns\"\n", "now", sets);
    return differences(then_, now, data);
  }

  saddle::Run start_;
  json then_;
};

TEST_F(Differences, AreOfWhatChangesNumbersOnly) {
  EXPECT_THAT(of({}), IsEmpty());
  EXPECT_THAT(of({"steps=7", "checkpoint.keep=9", "threads=2", "data.stage=/x"}), IsEmpty());
  EXPECT_THAT(of({"g.lr=0.5", "batch=3"}, "beef"),
              ElementsAre("g.lr: 0.0002 in the checkpoint, 0.5 now", "batch: 64 in the checkpoint, 3 now",
                          "fingerprint of the data set: f00d in the checkpoint, beef now"));
}

TEST_F(Differences, WhatAnOlderProgramDidNotKnowHadItsDefault) {
  then_["options"].erase("clip");
  EXPECT_THAT(of({}), IsEmpty());
  EXPECT_THAT(of({"clip=2"}), ElementsAre("clip: 0.0 in the checkpoint, 2.0 now"));
}

TEST(Log, KeepsTheLinesUpToAStepAndCountsTheDamagedOnes) {
  int64_t damaged = 0;
  const std::string good = "{\"step\":3}\n{\"note\":\"no step\"}\n";
  EXPECT_EQ(lines_until(good + "{\"step\":4}\n", 3, damaged), good);
  EXPECT_EQ(damaged, 0);
  for (const std::string& bad :
       {std::string("{\"step\":\"3\"}"), std::string("{\"step\":1e300}"), std::string("3"), std::string("[]"),
        std::string("{\"step\":3"), std::string("\xff"), std::string(200'000, '['),
        "{\"step\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}"}) {
    damaged = 0;
    EXPECT_EQ(lines_until(bad + "\n" + good, 3, damaged), good);
    EXPECT_EQ(damaged, 1);
  }
}

TEST(Log, ThatIsNoFileIsAnErrorAtOnce) {
  const std::string dir = testing::TempDir() + "saddle_log_" + std::to_string(::getpid());
  std::filesystem::create_directories(dir);
  RunFolder folder(dir);
  const auto refusal = [&]() -> std::string {
    try {
      folder.open_log(1);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, Exit::io);
      return e.what();
    }
    return "";
  };
  ASSERT_EQ(mkfifo(folder.log_file().c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("a FIFO"));
  std::filesystem::remove(folder.log_file());
  std::filesystem::create_symlink("nowhere", folder.log_file());
  EXPECT_THAT(refusal(), HasSubstr("log.jsonl"));
  std::filesystem::remove_all(dir);
}

TEST_F(Differences, OfACheckpointThatSaysNothingOfItsRunAreAnErrorOfTheData) {
  for (const char* key : {"options", "data"}) {
    const json whole = then_;
    then_.erase(key);
    EXPECT_THROW(of({}), Error) << key;
    then_ = whole;
  }
}

}  // namespace
}  // namespace saddle
