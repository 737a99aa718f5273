// Collectives of CUDA tensors through Comm, at any world size; ranks may share a device. All sums are exact.
#include <gtest/gtest.h>

#include "dist/comm.h"
#include "dist/replica.h"
#include "tests/support/world.h"

namespace saddle {
namespace {

using test::world;

// One communicator for the whole program: making one is the slow part.
class Device : public testing::Test {
 protected:
  static void SetUpTestSuite() { comm_ = std::make_unique<Comm>(world().comm("cuda")); }
  static void TearDownTestSuite() { comm_.reset(); }

  const Comm& comm() const { return *comm_; }
  torch::TensorOptions here(torch::ScalarType dtype) const {
    return torch::dtype(dtype).device(comm().device());
  }
  int64_t ranks_below() const { return int64_t{comm().size()} * (comm().size() - 1) / 2; }

 private:
  static inline std::unique_ptr<Comm> comm_;
};

TEST_F(Device, IsTheOneOfTheLocalRank) {
  EXPECT_TRUE(comm().device().is_cuda());
  EXPECT_EQ(comm().size(), world().size());
  EXPECT_EQ(torch::zeros({1}, torch::kCUDA).device(), comm().device()) << "the current device is another one";
}

TEST_F(Device, AllReduceSums) {
  for (auto dtype : {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16, torch::kLong}) {
    torch::Tensor x = torch::full({3, 5}, comm().rank(), here(dtype));
    comm().all_reduce(x);
    EXPECT_TRUE(x.eq(ranks_below()).all().item<bool>()) << torch::toString(dtype) << " " << x;
  }
}

TEST_F(Device, AllReduceTakesTheGreatest) {
  torch::Tensor x = torch::full({7}, comm().rank(), here(torch::kFloat));
  comm().all_reduce(x, Reduce::max);
  EXPECT_TRUE(x.eq(comm().size() - 1).all().item<bool>()) << x;
}

TEST_F(Device, AllReduceInFlightDoesNotDisturbOtherWork) {
  torch::Tensor x = torch::full({1 << 20}, comm().rank(), here(torch::kFloat)),
                other = torch::ones({1 << 20}, x.options());
  Wait wait = comm().all_reduce_async(x);
  for (int i = 0; i < 8; ++i) other.mul_(2);
  wait();
  EXPECT_TRUE(x.eq(ranks_below()).all().item<bool>());
  EXPECT_TRUE(other.eq(256).all().item<bool>());
}

TEST_F(Device, BroadcastTakesTheRoots) {
  for (int root = 0; root < comm().size(); ++root) {
    torch::Tensor x = torch::full({4}, 10 + comm().rank(), here(torch::kFloat));
    comm().broadcast(x, root);
    EXPECT_TRUE(x.eq(10 + root).all().item<bool>()) << x;
  }
}

TEST_F(Device, AllGatherKeepsTheOrderOfRanks) {
  torch::Tensor all = comm().all_gather(torch::full({2}, comm().rank(), here(torch::kLong)));  // [size, 2]
  EXPECT_TRUE(all.eq(torch::arange(comm().size(), here(torch::kLong)).unsqueeze(1)).all().item<bool>())
      << all;
}

TEST_F(Device, TextTravelsOnTheHost) {
  EXPECT_EQ(comm().broadcast_text(comm().rank() == 0 ? "hello" : "no"), "hello");
  EXPECT_EQ(comm().all_gather_text(std::to_string(comm().rank())).back(), std::to_string(comm().size() - 1));
}

TEST_F(Device, ReplicaSumsGradientsInBuckets) {
  torch::Tensor a = torch::full({300, 7}, 1.0 + comm().rank(), here(torch::kFloat)),
                b = torch::ones({5}, a.options());
  a.requires_grad_(), b.requires_grad_();
  Replica replica(comm(), {{"a", a}, {"b", b}}, {.first_bytes = 16, .bytes = 1024});
  EXPECT_TRUE(a.eq(1).all().item<bool>()) << "weights are rank 0's";
  replica.learn(true);
  replica.zero_grad();
  replica.arm();
  (a.sum() * (1 + comm().rank()) + b.sum()).backward();
  replica.finish();
  EXPECT_TRUE(a.grad().eq(ranks_below() + comm().size()).all().item<bool>());
  EXPECT_TRUE(b.grad().eq(comm().size()).all().item<bool>());
}

}  // namespace
}  // namespace saddle
