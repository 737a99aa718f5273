#include "dist/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "dist/error.h"
#include "dist/file.h"
#include "tests/support/shared_folder.h"
#include "tests/support/small_disk.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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
  static Checkpoint checkpoint(int64_t step) {
    return {.step = step, .state = state(step), .about = {{"system", "x"}}, .folder = {}};
  }
  void save(int64_t step, Retention retention = {.newest = 10}) {
    save_checkpoint(comm_, folder_, checkpoint(step), retention);
  }
  std::vector<int64_t> steps() const {
    std::vector<int64_t> found;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (const std::string name = entry.path().filename(); !entry.path().has_extension())
        found.push_back(std::stoll(name.substr(5)));
    std::sort(found.begin(), found.end());
    return found;
  }
  static void expect_state(const std::optional<Checkpoint>& loaded, int64_t step) {
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->step, step);
    const State expected = state(step);
    ASSERT_EQ(loaded->state.tensors.size(), expected.tensors.size());
    for (const auto& [name, tensor] : expected.tensors)
      EXPECT_TRUE(torch::equal(loaded->state.tensors.at(name), tensor)) << name;
    EXPECT_EQ(loaded->state.numbers.at("step"), step);
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
  expect_state(loaded, 5);
  EXPECT_EQ(loaded->about.at("system"), "x");
}

TEST_F(CheckpointTest, ThereMayBeNone) {
  EXPECT_FALSE(load_checkpoint(comm_, folder_));
}

TEST_F(CheckpointTest, KeepsTheNewestTheMilestonesAndTheBest) {
  const double scores[] = {5, 3, 4, 9, 9, 8, 7};  // of steps 1 to 7
  {
    Checkpointer checkpointer(comm_, folder_, {.newest = 2, .milestones = 4, .best = true});
    for (int64_t step = 1; step <= 7; ++step) {
      checkpointer.begin(checkpoint(step), scores[step - 1]);
      EXPECT_EQ(checkpointer.finish(), std::nullopt);
    }
  }
  comm_.barrier();  // by which rank 0's thread has removed what it had to
  EXPECT_THAT(steps(), ElementsAre(2, 4, 6, 7));
  comm_.barrier();
  save(8, {.newest = 1});
  comm_.barrier();
  EXPECT_THAT(steps(), ElementsAre(8));
  int64_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) ++entries;
  EXPECT_EQ(entries, 1) << "nothing half removed is left";
  comm_.barrier();
}

TEST_F(CheckpointTest, ChangesAfterTheBeginAreNotInIt) {
  Checkpointer checkpointer(comm_, folder_, {});
  const Checkpoint saved = checkpoint(3);
  checkpointer.begin(saved);
  EXPECT_TRUE(checkpointer.pending());
  for (const auto& [name, tensor] : saved.state.tensors) tensor.fill_(-1);
  EXPECT_FALSE(load_checkpoint(comm_, folder_)) << "it is not published before the finish";
  EXPECT_EQ(checkpointer.finish(), std::nullopt);
  EXPECT_FALSE(checkpointer.pending());
  EXPECT_TRUE(checkpointer.written());
  expect_state(load_checkpoint(comm_, folder_), 3);
}

TEST_F(CheckpointTest, OneThatIsNeverFinishedIsNeverSeen) {
  save(1);
  { Checkpointer(comm_, folder_, {}).begin(checkpoint(2)); }
  comm_.barrier();
  expect_state(load_checkpoint(comm_, folder_), 1);
}

TEST_F(CheckpointTest, OfFormat1IsRead) {
  const auto golden = load_checkpoint(comm_, SADDLE_SOURCE_DIR "/tests/dist/goldens/checkpoint-1");
  ASSERT_TRUE(golden);
  EXPECT_EQ(golden->step, 5);
  EXPECT_EQ(golden->about.at("options").at("system"), "'gan-ns'");
  EXPECT_EQ(golden->state.numbers.at("loader.position"), 20);
  EXPECT_EQ(digest([&](StateVisitor& v) {
              for (auto [name, tensor] : golden->state.tensors) v.tensor(name, tensor);
            }),
            12050025681039596099U);
}

// Flips and truncations at 100 places of each file, of its head and of its body.
TEST_F(CheckpointTest, AnyDamageToAnyFileIsSeenAndTheOneBeforeIsTaken) {
  save(1);
  save(2);
  if (comm_.rank() == 0) {
    std::mt19937 random(7);
    for (const auto& entry : fs::directory_iterator(folder_ + "/step-0000000002")) {
      const std::string path = entry.path(), bytes = read_file(path);
      const auto load_with = [&](const std::string& damaged) {
        std::ofstream(path, std::ios::binary) << damaged;
        const auto loaded = load_checkpoint(folder_);
        // White space in the manifest may change its kind: what it says is then still what was saved.
        const bool same_words = entry.path().extension() == ".json" && loaded->step == 2 &&
                                nlohmann::json::parse(damaged) == nlohmann::json::parse(bytes);
        expect_state(loaded, same_words ? 2 : 1);
      };
      for (int i = 0; i < 100; ++i) {
        std::string flipped = bytes;
        flipped[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
        load_with(flipped);
        load_with(bytes.substr(0, random() % bytes.size()));
      }
      load_with(std::string(bytes.size(), '\0'));
      load_with("");
      std::ofstream(path, std::ios::binary) << bytes;
    }
    expect_state(load_checkpoint(folder_), 2);
  }
  comm_.barrier();
}

TEST_F(CheckpointTest, AFileOfAnotherStepIsNoPartOfIt) {
  save(1);
  save(2);
  on_rank_zero([&] { fs::copy_file(a_file(1), a_file(2), fs::copy_options::overwrite_existing); });
  expect_state(load_checkpoint(comm_, folder_), 1);
  on_rank_zero([&] {
    fs::remove_all(folder_ + "/step-0000000002");
    fs::copy(folder_ + "/step-0000000001", folder_ + "/step-0000000002");
  });
  expect_state(load_checkpoint(comm_, folder_), 1);
}

TEST_F(CheckpointTest, AFullDiskFailsOnAllRanksAndLeavesTheOneBefore) {
  if (!test::can_mount()) GTEST_SKIP() << "only root mounts a small disk";
  std::optional<test::SmallDisk> disk;
  on_rank_zero([&] { disk.emplace(folder_ + "/small", "1m"); });
  const auto big = [&](int64_t step, int64_t kib) {
    Checkpoint c = checkpoint(step);
    for (int i = 0; i < 8; ++i)
      c.state.tensors[fmt::format("big{}", i)] = torch::full({kib * 1024 / 8}, step, torch::kByte);
    return c;
  };
  Checkpointer checkpointer(comm_, folder_ + "/small", {.newest = 3});
  checkpointer.begin(big(1, 300));
  EXPECT_EQ(checkpointer.finish(), std::nullopt);
  for (const int64_t kib : {1100, 900, 760}) {  // full at various places of the write
    checkpointer.begin(big(2, kib));
    const auto failure = checkpointer.finish();
    ASSERT_TRUE(failure);
    EXPECT_THAT(*failure, AllOf(HasSubstr("No space left"), HasSubstr("step-0000000002")));
    EXPECT_EQ(load_checkpoint(comm_, folder_ + "/small")->step, 1);
  }
  checkpointer.begin(big(3, 300));
  EXPECT_EQ(checkpointer.finish(), std::nullopt) << "what the failed ones took is free again";
  EXPECT_EQ(load_checkpoint(comm_, folder_ + "/small")->step, 3);
  comm_.barrier();  // nobody needs the disk any more
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

TEST_F(CheckpointTest, ADamagedLaterOneIsNeverKeptInsteadOfAWholeOne) {
  save(1);
  save(9);
  on_rank_zero([&] { fs::resize_file(a_file(9), 20); });
  expect_state(load_checkpoint(comm_, folder_), 1);
  save(2, {.newest = 1});  // on from there
  comm_.barrier();
  expect_state(load_checkpoint(comm_, folder_), 2);
}

TEST_F(CheckpointTest, ABitOfTheFormatIsDamageAndNoNewerFormat) {
  save(1);
  save(2);
  on_rank_zero([&] {
    const std::string path = folder_ + "/step-0000000002/manifest.json";
    std::string text = read_file(path);
    const size_t at = text.find("\"format\": 2") + 10;
    ASSERT_EQ(text[at], '2');
    text[at] ^= 1;
    std::ofstream(path) << text;
  });
  expect_state(load_checkpoint(comm_, folder_), 1);
}

TEST_F(CheckpointTest, LeftoversOfAKilledSaveAreNeitherLoadedNorInTheWay) {
  save(1);
  on_rank_zero([&] {
    fs::create_directories(folder_ + "/step-0000000002.tmp");
    write_file(folder_ + "/step-0000000002.tmp/manifest.json", "{");
  });
  on_rank_zero([&] {
    for (const char* name : {"/step-0000000007.tmp", "/step-0000000001.old", "/step-0000000007.tmp.old"})
      fs::create_directories(folder_ + name);
  });
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 1);
  EXPECT_THAT(leftovers(folder_), SizeIs(4));
  comm_.barrier();
  save(2);
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 2);
  save(2);  // again, over itself
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 2);
  comm_.barrier();  // by which rank 0's thread has removed what it had to
  EXPECT_THAT(leftovers(folder_), IsEmpty());
  comm_.barrier();
}

TEST_F(CheckpointTest, AListTellsWhatIsDamaged) {
  for (const int64_t step : {1, 2, 3, 4}) save(step);
  on_rank_zero([&] {
    std::string bytes = read_file(a_file(2));
    bytes[bytes.size() - 3] ^= 1;
    write_file(a_file(2), bytes);
    fs::resize_file(a_file(3), 20);
    write_file(folder_ + "/step-0000000004/manifest.json", "{");
  });
  const auto damage = [&](bool verify) {
    std::vector<std::string> out;
    for (const Published& each : list_checkpoints(folder_, verify)) out.push_back(each.damage);
    return out;
  };
  EXPECT_THAT(damage(false), ElementsAre("", "", HasSubstr("has 20 bytes"), HasSubstr("broken manifest")));
  EXPECT_THAT(damage(true), ElementsAre("", HasSubstr("checksum differs"), HasSubstr("has 20 bytes"),
                                        HasSubstr("broken manifest")));
  const Published first = list_checkpoints(folder_, false).front();
  EXPECT_EQ(first.step, 1);
  EXPECT_EQ(first.manifest.at("world_size"), comm_.size());
  EXPECT_GT(first.bytes, 9 * 8 / 2 * 3 * 4);  // what the tensors hold, and headers
  comm_.barrier();
}

TEST_F(CheckpointTest, ANewerFormatIsRefusedByName) {
  save(0);
  save(1);
  on_rank_zero([&] {
    const std::string path = folder_ + "/step-0000000001/manifest.json";
    auto manifest = nlohmann::json::parse(read_file(path));
    manifest["format"] = 3;
    manifest.erase("xxh3_128");
    manifest["xxh3_128"] = hash_text(manifest.dump());
    write_file(path, manifest.dump());
  });
  EXPECT_THAT(test::error_of([&] { load_checkpoint(comm_, folder_); }),
              AllOf(HasSubstr("checkpoint format 3"), HasSubstr("newer saddle")));
}

TEST_F(CheckpointTest, AFailedSaveThrowsOnAllRanksAndPublishesNothing) {
  save(1);
  on_rank_zero([&] { write_file(folder_ + "/blocked", "a file where a folder should be"); });
  EXPECT_THROW(save_checkpoint(comm_, folder_ + "/blocked", checkpoint(2), {}), Error);
  EXPECT_EQ(load_checkpoint(comm_, folder_)->step, 1);
}

}  // namespace
}  // namespace saddle
