// The Frechet distance of features to those of as many real images (losses/metrics/frechet.h), and beside it that
// of other real images: its noise floor.
#include "losses/metrics/frechet.h"

#include "dist/differentiable.h"
#include "launch/evaluate/metric.h"

namespace saddle {
namespace {

using nlohmann::json;

class Frechet final : public Meter {
 public:
  Frechet(torch::Tensor real, int64_t count, double floor, const Comm& comm)
      : real_(std::move(real)), count_(count), floor_(floor), comm_(comm) {}
  void add(const Piece& piece) override {
    // As many as there are real ones: a distance is larger among fewer.
    const int64_t wanted = std::clamp<int64_t>(count_ - piece.places.first, 0, piece.places.count);
    features_.push_back(piece.seen.features.narrow(0, 0, wanted));
  }
  json result() override {
    const torch::Tensor all = rows_of_all_ranks(torch::cat(features_), comm_, "features");
    return {{"fd", frechet_distance(all, real_)}, {"fd_real_against_real", floor_}, {"fd_samples", count_}};
  }

 private:
  torch::Tensor real_;
  int64_t count_;
  double floor_;
  Comm comm_;
  std::vector<torch::Tensor> features_;
};

}  // namespace

Metric frechet_metric() {
  return {.name = "fd",
          .about = "labelled images: Frechet distance of a classifier's features, and its noise floor",
          .key = "fd",
          .features = true,
          .misfit = no_labelled_images,
          .prepare = [](const MetricContext& c) {
            const torch::Tensor real = rows_of_all_ranks(c.real->some, c.comm, "real features"),
                                others = rows_of_all_ranks(c.real->others, c.comm, "real features");
            return [real, count = c.real->count, floor = frechet_distance(others, real), comm = c.comm] {
              return std::make_unique<Frechet>(real, count, floor, comm);
            };
          }};
}

}  // namespace saddle
