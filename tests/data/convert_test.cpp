#include "data/feed/convert.h"

#include <gtest/gtest.h>

#include "data/feed/loader.h"
#include "data/feed/pool.h"

namespace saddle {
namespace {

TEST(Convert, IsExactlyTheQuotientForEveryByteAndWord) {
  const torch::Tensor bytes = torch::arange(256).to(torch::kByte),
                      words = torch::arange(65536).to(torch::kUInt16);
  const torch::Tensor of_bytes = to_model(bytes, torch::kCPU, torch::kFloat),
                      of_words = to_model(words, torch::kCPU, torch::kFloat);
  EXPECT_TRUE(torch::equal(of_bytes, torch::arange(256).to(torch::kFloat).div(127.5F).sub(1)));
  EXPECT_TRUE(torch::equal(of_words, torch::arange(65536).to(torch::kFloat).div(32767.5F).sub(1)));
  EXPECT_EQ(of_words[0].item<float>(), -1);
  EXPECT_EQ(of_words[65535].item<float>(), 1);
}

TEST(Convert, DoesNotDependOnAlignmentOrLength) {
  std::vector<uint8_t> from(200);
  for (size_t i = 0; i < from.size(); ++i) from[i] = uint8_t(i * 37);
  const Convert convert = converter(torch::kByte, torch::kFloat);
  for (size_t first = 0; first < 40; ++first)
    for (size_t count = 0; count < 100; count += 7) {
      std::vector<float> to(count + 1, 9);
      convert(from.data() + first, to.data(), int64_t(count));
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(to[i], float(from[first + i]) / 127.5F - 1);
      ASSERT_EQ(to[count], 9) << "written beyond the end";
    }
}

TEST(Convert, CastsFloatsAndLeavesIntegers) {
  for (const auto from : {torch::kHalf, torch::kFloat, torch::kDouble})
    for (const auto to : {torch::kHalf, torch::kBFloat16, torch::kFloat, torch::kDouble}) {
      const torch::Tensor raw = torch::arange(-4, 5).to(from).div(8);
      const Convert convert = converter(from, to);
      EXPECT_EQ(convert == nullptr, from == to);
      if (!convert) continue;
      torch::Tensor out = torch::empty({9}, to);
      convert(raw.const_data_ptr(), out.mutable_data_ptr(), 9);
      EXPECT_TRUE(torch::equal(out, raw.to(to)));
    }
  for (const auto integer : {torch::kChar, torch::kShort, torch::kInt, torch::kLong})
    EXPECT_EQ(model_type(integer, torch::kFloat), integer);
  EXPECT_EQ(model_type(torch::kUInt16, torch::kDouble), torch::kDouble);
}

TEST(Pool, UsesMemoryAgainOnceNoTensorHoldsIt) {
  Pool pool(2);
  torch::Tensor first = pool.empty({100, 1000}, torch::kFloat);
  const void* memory = first.const_data_ptr();
  const torch::Tensor view = first[3];
  first.reset();
  torch::Tensor second = pool.empty({100, 1000}, torch::kFloat);
  EXPECT_NE(second.const_data_ptr(), memory) << "a view still holds it";
  const void* other = second.const_data_ptr();
  second.reset();
  EXPECT_EQ(pool.empty({1000, 100}, torch::kFloat).const_data_ptr(), other);
}

TEST(Pool, TensorsOutliveIt) {
  torch::Tensor kept;
  {
    Pool pool(2);
    kept = pool.empty({100, 1000}, torch::kFloat).fill_(3);
  }
  EXPECT_EQ(kept.sum().item<float>(), 300000);
}

}  // namespace
}  // namespace saddle
