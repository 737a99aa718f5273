// Loading the CUDA half, or not. One test a process, each with its own SADDLE_CUDA_PLUGIN: see
// CMakeLists.txt.
#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/cuda/load.h"
#include "dist/tensor.h"

namespace saddle {
namespace {

using testing::HasSubstr;

TEST(Load, CanBeSwitchedOff) {
  EXPECT_EQ(cuda_plugin(), nullptr);
  EXPECT_THAT(why_no_cuda(), HasSubstr("SADDLE_CUDA_PLUGIN=0"));
  EXPECT_FALSE(at::hasCUDA());
}

TEST(Load, NamesAModuleThatDoesNotLoad) {
  EXPECT_EQ(cuda_plugin(), nullptr);
  EXPECT_THAT(why_no_cuda(), HasSubstr("/nowhere/libsaddle_cuda.so: cannot open shared object file"));
}

TEST(Load, WorksWithoutADevice) {
  EXPECT_EQ(cuda_plugin(), nullptr);
  std::cout << "why_no_cuda: " << why_no_cuda() << std::endl;
  EXPECT_THAT(why_no_cuda(),
              testing::AnyOf(HasSubstr("driver"), HasSubstr("No CUDA GPUs"), HasSubstr("no CUDA-capable")));
  EXPECT_THAT(cuda_versions(), testing::MatchesRegex("CUDA .+, NCCL .+built with.+not in use.+"))
      << "the half is not loaded";
  EXPECT_FALSE(at::hasCUDA());  // torch asks the loaded half, which answers cleanly
  EXPECT_EQ(torch::ones({4}).sum().item<float>(), 4);
}

}  // namespace
}  // namespace saddle
