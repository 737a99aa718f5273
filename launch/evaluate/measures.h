// What generated samples are worth: the measures that `saddle evaluate` prints, and one number made of them
// by which a tournament chooses.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/dataset.h"
#include "models/system.h"

namespace saddle {

// The folder `validation` beside the data set `train`, as `saddle pack --validation` makes it; nothing if
// there is none. One with other fields or classes is warned of, and nothing too. `folder` is
// TrainOptions::data.
std::shared_ptr<Dataset> validation_beside(const std::string& folder, const Schema& schema);

// On one rank. The measures that fit the data: modes covered of a generated mixture; of labelled images the
// agreement of requested labels with those of a classifier trained on the data and tested on `held_out`
// (classifier.h), and the Fréchet distance of its features with its noise floor. Exit::usage if none fits.
nlohmann::json measure(const Batch& samples, const Dataset& data, const Dataset* held_out, uint64_t seed);

// On one rank. Of a classifier's samples, which Drawing's data and seed chose from `data`: the share that
// are of another class than the data say, in all and by class.
nlohmann::json measure_classes(const torch::Tensor& told, const Dataset& data, const std::string& target,
                               uint64_t seed);

// On one rank. Of pictures whose `count` channels are grey pictures of `data` (data.stack), by a classifier
// trained on those: how many of the combinations of classes occur, and the KL divergence of how often they
// do from all alike (Metz et al. 2017, section 3.3.1; PacGAN, section 4.2).
nlohmann::json measure_stacked(const torch::Tensor& images, const Dataset& data, const Dataset* held_out,
                               uint64_t seed);

struct Metric {
  std::string name;
  bool higher_is_better;
  // Collective over the ranks of the metric's Comm, of samples that are the same on all; true on rank 0.
  std::function<double(const Batch& samples)> value;
  bool better(double a, double b) const;  // whether `a` is; NaN is worse than any number
};

struct MetricOptions {
  int64_t batch = 64;      // samples that pass a discriminator at once, as in training
  int64_t samples = 1024;  // that `value` will be given
  uint64_t seed = 0;
  const Dataset* held_out = nullptr;  // for the classifier
};

// Collective over `host`, the system's ranks. By name:
//   critic  mean output of the system's net D, which sees samples as when it is trained: higher is better
//           (LTFB, Jacobs 2017, section 3). Two trainers' critics have no common scale.
//   modes   of generated mixtures: share of high quality times the share of modes effectively covered,
//           exp(-reverse KL), in [0, 1]: higher is better
//   fd      of labelled images: Fréchet distance of classifier features: lower is better. The classifier is
//           trained here, on rank 0.
// Exit::usage if the metric does not fit the system or its data.
Metric make_metric(const std::string& name, System& system, const Dataset& data, const Comm& host,
                   const MetricOptions& options);

}  // namespace saddle
