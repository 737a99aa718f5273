#include "dist/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"
#include "tests/support/shared_folder.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  Comm comm_ = test::world().comm("cpu");
  const test::SharedFolder shared_{comm_};
  const std::string folder_ = shared_.path();

  static State state(int64_t step) {
    State s;
    for (int i = 0; i < 9; ++i)
      s.tensors["t" + std::to_string(i)] = torch::full({i, 3}, step + i, torch::kFloat);
    s.numbers["step"] = step;
    return s;
  }
  void save(int64_t step, int64_t keep = 10) {
    save_checkpoint(comm_, folder_, {step, state(step), {{"system", "x"}}, {}}, keep);
  }

  // The one file of `step` that holds bytes of tensors on any number of ranks.
  std::string a_file(int64_t step) const {
    return fmt::format("{}/step-{:010}/state-00000-of-{:05}.safetensors", folder_, step, comm_.size());
  }
  void on_rank_zero(const std::function<void()>& work) {
    if (comm_.rank() == 0) work();
    comm_.barrier();
  }
};

TEST_F(CheckpointTest, WhatIsSavedComesBackOnEveryRank) {
  save(5);
  const auto loaded = load_checkpoint(comm_, folder_);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->step, 5);
  EXPECT_EQ(loaded->about.at("system"), "x");
  const State expected = state(5);
  ASSERT_EQ(loaded->state.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors)
    EXPECT_TRUE(torch::equal(loaded->state.tensors.at(name), tensor)) << name;
  EXPECT_EQ(loaded->state.numbers.at("step"), 5);
}

TEST_F(CheckpointTest, ThereMayBeNone) {
  EXPECT_FALSE(load_checkpoint(comm_, folder_));
}

TEST_F(CheckpointTest, KeepsTheNewest) {
  for (int64_t step = 1; step <= 5; ++step) save(step, 2);
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) count += entry.is_directory();
  EXPECT_EQ(count, 2);
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 5);
  comm_.barrier();
}

TEST_F(CheckpointTest, AFlippedByteOrAMissingFileFallsBackToTheOneBefore) {
  save(1);
  save(2);
  on_rank_zero([&] {
    std::string bytes = read_file(a_file(2));
    bytes[bytes.size() - 3] ^= 1;
    write_file(a_file(2), bytes);
  });
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 1);
  on_rank_zero([&] { fs::remove(a_file(2)); });
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 1);
  on_rank_zero([&] { fs::resize_file(a_file(1), 20); });
  EXPECT_THROW(load_checkpoint(comm_, folder_), Error);
}

TEST_F(CheckpointTest, LeftoversOfAKilledSaveAreNeitherLoadedNorInTheWay) {
  save(1);
  on_rank_zero([&] {
    fs::create_directories(folder_ + "/step-0000000002.tmp");
    write_file(folder_ + "/step-0000000002.tmp/manifest.json", "{");
  });
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 1);
  save(2);
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 2);
  save(2);  // again, over itself
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 2);
}

TEST_F(CheckpointTest, ANewerFormatIsRefusedByName) {
  save(1);
  on_rank_zero([&] {
    const std::string path = folder_ + "/step-0000000001/manifest.json";
    auto manifest = nlohmann::json::parse(read_file(path));
    manifest["format"] = 2;
    write_file(path, manifest.dump());
  });
  EXPECT_THROW(load_checkpoint(comm_, folder_), Error);
}

TEST_F(CheckpointTest, AFailedSaveThrowsOnAllRanksAndPublishesNothing) {
  save(1);
  on_rank_zero([&] { write_file(folder_ + "/blocked", "a file where a folder should be"); });
  EXPECT_THROW(save_checkpoint(comm_, folder_ + "/blocked", {2, state(2), {}, {}}, 3), Error);
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 1);
}

}  // namespace
}  // namespace saddle
