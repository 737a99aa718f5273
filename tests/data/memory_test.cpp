// The loader's memory over a long training.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>

#include "data/feed/loader.h"
#include "data/store/shard_writer.h"
#include "tests/data/folder.h"
#include "tests/support/images.h"

namespace saddle {
namespace {

double resident_mib() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("RssAnon:")) return std::stod(line.substr(8)) / 1024;
  return 0;
}

TEST(Memory, DoesNotGrowOverTenThousandBatches) {
  const test::Folder folder;
  {
    const auto images = test::images(4000, 32);
    ShardWriter writer(folder.path(), images->schema(), 1 << 20);
    std::vector<int64_t> all(4000);
    for (size_t i = 0; i < all.size(); ++i) all[i] = int64_t(i);
    writer.append(images->read(all));
    writer.finish({{"source", "test"}});
  }
  const auto data = open_shards(folder.path());
  Loader loader({{data, Shuffle(data->size(), 1), {mirror(1), crop(28, 28, 1)}}},
                {.batch = 64, .threads = 2, .prefetch = 8});
  for (int i = 0; i < 1000; ++i) loader.next();
  const double before = resident_mib();
  for (int i = 0; i < 10000; ++i) loader.next();
  const double after = resident_mib();
  std::cout << "resident: " << before << " MiB after 1000 batches, " << after << " MiB after 11000"
            << std::endl;
  EXPECT_LT(after, before * 1.01 + 1);
}

}  // namespace
}  // namespace saddle
