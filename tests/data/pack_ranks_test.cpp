// Packing by several ranks: the same bytes as by one, one error for all, and going on after a kill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data/check/audit.h"
#include "data/dataset.h"
#include "data/pack/pack.h"
#include "data/view/picture.h"
#include "dist/random.h"
#include "tests/support/shared_folder.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using Shared = test::SharedFolder;
using testing::HasSubstr;

// 40 noisy pictures of two classes, the 13th damaged if asked.
void draw(const Comm& comm, const Shared& folder, bool damaged = false) {
  if (comm.rank() == 0)
    for (int i = 0; i < 40; ++i) {
      const std::string path = folder / fmt::format("in/{}/{:02}.png", i % 2 ? "cat" : "dog", i);
      fs::create_directories(fs::path(path).parent_path());
      write_png(
          path,
          uniform(Stream(7, "noise"), {i, 1}, {3, 64, 64}, torch::kDouble).mul(255).to(torch::kByte)[0]);
      if (damaged && i == 13) test::put(path, read_file(path).substr(0, 300));
    }
  comm.barrier();
}

PackRequest request(const Shared& folder, const std::string& out) {
  // Shards of 1 MiB hold all of it: pictures of 170x170 make four.
  return {.source = folder / "in",
          .out = folder / out,
          .size = ImageSize{170, 170},
          .shard_mib = 1,
          .threads = 2};
}

std::map<std::string, std::string> bytes(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::directory_iterator(folder))
    out[entry.path().filename()] = hash_file(entry.path());
  return out;
}

TEST(PackRanks, GiveTheBytesOfOne) {
  const Comm comm = test::world().comm("cpu");
  const Shared folder(comm);
  draw(comm, folder);
  const Packed all = pack(request(folder, "all"), comm).front();
  EXPECT_EQ(all.index.count, 40);
  EXPECT_GT(all.index.shards.size(), 3U);
  if (comm.rank() == 0) {
    PackRequest alone = request(folder, "alone");
    alone.threads = 1;
    pack(alone);
    EXPECT_EQ(bytes(folder / "all"), bytes(folder / "alone"));
  }
}

TEST(PackRanks, AgreeOnWhatIsDamaged) {
  const Comm comm = test::world().comm("cpu");
  const Shared folder(comm);
  draw(comm, folder, true);
  EXPECT_THAT(test::error_of([&] { pack(request(folder, "out"), comm); }),
              HasSubstr("1 of 40 samples are damaged"));
  comm.barrier();
  EXPECT_FALSE(has_index(folder / "out"));
  PackRequest skipping = request(folder, "out");
  skipping.skip_bad = true;
  const Packed packed = pack(skipping, comm).front();
  EXPECT_EQ(packed.index.count, 39);
  EXPECT_EQ(packed.skipped, 1);
}

TEST(PackRanks, GoOnAfterAKill) {
  const Comm comm = test::world().comm("cpu");
  const Shared folder(comm);
  draw(comm, folder);
  const PackRequest asked = request(folder, "out");
  pack(asked, comm);
  comm.barrier();
  const auto whole = comm.rank() == 0 ? bytes(folder / "out") : std::map<std::string, std::string>{};
  if (comm.rank() == 0) {  // what a kill leaves: a plan, some shards, half of one, no index
    const std::string plan = read_index(folder / "out").provenance.dump(1);
    fs::remove(folder / "out/dataset.json");
    fs::rename(folder / "out/shard-00001.h5", folder / "out/shard-00001.h5.tmp");
    fs::resize_file(folder / "out/shard-00001.h5.tmp", 5000);
    fs::resize_file(folder / "out/shard-00002.h5", 100000);
    test::put(folder / "out/packing.json", plan);
  }
  comm.barrier();
  const Packed again = pack(asked, comm).front();
  EXPECT_EQ(again.resumed, int64_t(again.index.shards.size()) - 2);
  comm.barrier();
  if (comm.rank() == 0) {
    EXPECT_EQ(bytes(folder / "out"), whole);
  }
}

TEST(PackRanks, StartAfreshWhenThePlanIsAnother) {
  const Comm comm = test::world().comm("cpu");
  const Shared folder(comm);
  draw(comm, folder);
  PackRequest asked = request(folder, "out");
  pack(asked, comm);
  comm.barrier();
  if (comm.rank() == 0) {
    fs::remove(folder / "out/dataset.json");
    test::put(folder / "out/packing.json", "another plan");
  }
  comm.barrier();
  asked.size = ImageSize{100, 100};
  EXPECT_EQ(pack(asked, comm).front().resumed, 0);
  EXPECT_EQ(open_shards(folder / "out")->schema()["image"].shape[1], 100);
}

TEST(PackRanks, SplitEveryClassInTheSameShares) {
  const Comm comm = test::world().comm("cpu");
  const Shared folder(comm);
  draw(comm, folder);
  PackRequest asked = request(folder, "out");
  asked.validation = "25%";
  const std::vector<Packed> parts = pack(asked, comm);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].index.count, 30);
  EXPECT_EQ(parts[1].index.count, 10);
  const auto labels = open_shards(folder / "out/validation")->read({0, 1, 2, 3, 4, 5, 6, 7, 8, 9})["label"];
  EXPECT_EQ(labels.sum().item<int64_t>(), 5);
}

}  // namespace
}  // namespace saddle
