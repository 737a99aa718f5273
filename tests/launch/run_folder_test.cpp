// What makes a run another one, so that it is not resumed.
#include "launch/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saddle {
namespace {

using nlohmann::json;
using testing::ElementsAre;
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

}  // namespace
}  // namespace saddle
