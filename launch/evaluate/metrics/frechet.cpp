// The Frechet distance of features to those of as many real images (losses/metrics/frechet.h), and beside it that
// of other real images: its noise floor.
#include "losses/metrics/frechet.h"

#include <algorithm>

#include "launch/evaluate/metric.h"

namespace saddle {
namespace {

using nlohmann::json;

// Collective. The Gaussian of all ranks' features.
Gaussian of_all_ranks(const Gaussian& mine, const Comm& comm) {
  std::vector<torch::Tensor> gathered;
  for (const torch::Tensor& tensor : mine.tensors())
    gathered.push_back(comm.all_gather(tensor.to(comm.device()), "features").cpu());
  Gaussian all(mine.dims());
  for (int rank = 0; rank < comm.size(); ++rank) {
    std::vector<torch::Tensor> theirs;
    for (const torch::Tensor& tensor : gathered) theirs.push_back(tensor[rank]);
    all.merge(Gaussian::from(theirs));
  }
  return all;
}

Gaussian of_all_ranks(const torch::Tensor& features, const Comm& comm) {
  Gaussian mine(features.size(1));
  mine.add(features);
  return of_all_ranks(mine, comm);
}

class Frechet final : public Meter {
 public:
  Frechet(std::shared_ptr<const Gaussian> real, double floor, const Comm& comm)
      : real_(std::move(real)), floor_(floor), comm_(comm), mine_(real_->dims()) {}
  void add(const Piece& piece) override {
    // As many as there are real ones: a distance is larger among fewer.
    const int64_t wanted = std::clamp<int64_t>(real_->count() - piece.places.first, 0, piece.places.count);
    mine_.add(piece.seen.features.narrow(0, 0, wanted));
  }
  json result() override {
    return {{"fd", frechet_distance(of_all_ranks(mine_, comm_), *real_)},
            {"fd_real_against_real", floor_},
            {"fd_samples", real_->count()}};
  }

 private:
  std::shared_ptr<const Gaussian> real_;
  double floor_;
  Comm comm_;
  Gaussian mine_;
};

}  // namespace

Metric frechet_metric() {
  return {.name = "fd",
          .about = "labelled images: Frechet distance of a classifier's features, and its noise floor",
          .key = "fd",
          .features = true,
          .misfit = no_labelled_images,
          .prepare = [](const MetricContext& c) {
            const auto real = std::make_shared<const Gaussian>(of_all_ranks(c.real->some, c.comm));
            const double floor = frechet_distance(of_all_ranks(c.real->others, c.comm), *real);
            return [=, comm = c.comm] { return std::make_unique<Frechet>(real, floor, comm); };
          }};
}

}  // namespace saddle
