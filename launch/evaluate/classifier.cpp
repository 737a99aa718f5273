#include "launch/evaluate/classifier.h"

#include <ATen/Parallel.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "data/feed/decorators.h"
#include "data/feed/loader.h"
#include "data/feed/sampler.h"
#include "data/view/kind.h"
#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"
#include "dist/safetensors.h"
#include "dist/state.h"
#include "launch/engine/trainer.h"
#include "launch/evaluate/metric.h"
#include "models/gan.h"

namespace saddle {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kBatch = 128;
constexpr int64_t kEpochs = 2, kMostEpochs = 20;  // of large and of small data
constexpr int64_t kLeastSteps = 200;
constexpr int64_t kMostHeldOut = 5000;
constexpr const char* kTested = "tested";  // in a kept file: accuracy and the majority's share
constexpr const char* kDigest = "digest";  // of all else in it

using Parts = std::pair<std::shared_ptr<Dataset>, std::shared_ptr<Dataset>>;  // trained on, held out

// Of every class a fifth is held out, or less of large data; of a class with two samples or more at least
// one.
Parts split(const std::shared_ptr<Dataset>& data, uint64_t seed) {
  const ClassTable table = class_table(*data, "label", at::get_num_threads());
  const double share = std::min(0.2, static_cast<double>(kMostHeldOut) / static_cast<double>(data->size()));
  std::vector<int64_t> training, testing;
  for (int64_t label = 0; label < table.classes(); ++label) {
    const int64_t count = table.count(label);
    if (count == 0) continue;
    const auto part = static_cast<int64_t>(std::lround(share * static_cast<double>(count)));
    const int64_t held_out = std::min(count - 1, std::max<int64_t>(1, part));
    const auto order =
        samples_at(Shuffle(count, Stream(seed, "held out", static_cast<uint64_t>(label)).key), 0, count);
    for (int64_t i = 0; i < count; ++i)
      (i < held_out ? testing : training).push_back(table.sample(label, order[static_cast<size_t>(i)]));
  }
  require(
      !testing.empty(), Exit::data,
      "a classifier needs two images or more of a class, to learn from one and be tested on another; these "
      "{} samples have {} classes with one image at most: pack more images of each",
      data->size(), table.classes());
  return {subset(data, training), subset(data, testing)};
}

// Where it lies that was trained in this way on these data.
std::string place(const std::string& cache, const Dataset& data, const Dataset* held_out, uint64_t seed) {
  constexpr int kRecipe = 1;  // raised when another net or training would come of the same data
  return fmt::format("{}/classifier-{}.safetensors", cache,
                     hash_text(fmt::format("{} {} {} {}", kRecipe, data.fingerprint(),
                                           held_out ? held_out->fingerprint() : "none", seed)));
}

int64_t digest_of(const std::map<std::string, torch::Tensor>& kept) {
  return static_cast<int64_t>(digest([&](StateVisitor& visitor) {
    for (auto [name, tensor] : kept)
      if (name != kDigest) visitor.tensor(name, tensor);
  }));
}

Named weights_of(const System& system) {
  const Net net = *system.find("C");
  Named all = net.parameters(/*raw=*/true);
  for (const auto& buffer : net.buffers(true)) all.push_back(buffer);
  return all;
}

void copy_weights(const System& from, const System& to) {
  const at::NoGradGuard no_grad;
  const Named there = weights_of(to);
  size_t i = 0;
  for (const auto& [name, tensor] : weights_of(from)) torch::Tensor(there[i++].second).copy_(tensor);
}

}  // namespace

Classifier::Classifier(const std::shared_ptr<Dataset>& data, const std::shared_ptr<Dataset>& held_out,
                       uint64_t seed, const Comm& comm, const std::string& cache)
    : comm_(comm) {
  const std::string path = cache.empty() ? "" : place(cache, *data, held_out.get(), seed);
  Run run;
  comm.together([&] {
    const Schema& schema = data->schema();
    require(schema.has("label") && kind_of(main_field(schema)) == Kind::picture, Exit::data,
            "a classifier needs images with labels, found {}", describe(schema));
    field_ = main_field(schema).name;
    run.resolve("system = \"classifier\"", "classifier", {});
    system_ = std::make_unique<System>(run.build(schema, run.context(World::alone())));
    system_->find("C")->live->to(comm.device(), run.dtype());
    system_->find("C")->live->train(false);
  });
  if (load(path)) return;
  Parts parts{data, held_out};
  comm.together([&] {
    if (!held_out) parts = split(data, seed);
  });
  train(parts.first, seed);
  test(*parts.second, seed);
  save(path);
}

Classifier::~Classifier() = default;

void Classifier::train(const std::shared_ptr<Dataset>& data, uint64_t seed) {
  const int64_t size = data->size(), batch = std::min(kBatch, size);
  const int64_t epochs = std::clamp(kLeastSteps * batch / size, kEpochs, kMostEpochs);
  Run run;
  run.resolve("system = \"classifier\"", "classifier",
              {fmt::format("batch={}", batch), fmt::format("steps={}", epochs * size / batch),
               fmt::format("seed={}", seed)});
  log::info("training a classifier on these data for its features: {} steps of {} images", run.options.steps,
            batch);
  Trainer trainer(run, comm_, data);
  for (int64_t i = 0; i < run.options.steps; ++i) trainer.step();
  copy_weights(trainer.system(), *system_);
}

void Classifier::test(const Dataset& data, uint64_t seed) {
  const int64_t classes = data.schema()["label"].classes;
  torch::Tensor counts = torch::zeros({classes + 1}, torch::kLong);  // of each class, and of those told right
  comm_.together([&] {
    const int64_t piece = samples_at_ease(main_field(data.schema()).elements() * 4);
    const Range mine = share(std::min(data.size(), kMostHeldOut), comm_.rank(), comm_.size());
    const Shuffle order(data.size(), seed);
    for (int64_t at = 0; at < mine.count; at += piece) {
      const Batch some = data.read(samples_at(order, mine.first + at, std::min(piece, mine.count - at)));
      const torch::Tensor told = predict(to_model(some[field_], comm_.device(), torch::kFloat)).cpu();
      counts.narrow(0, 0, classes) += torch::bincount(some["label"], {}, classes);
      counts[classes] += told.eq(some["label"]).sum();
    }
  });
  counts = sum_of_all_ranks(counts, comm_, "classifier's test").to(torch::kDouble);
  const double all = counts.narrow(0, 0, classes).sum().item<double>();
  accuracy_ = counts[classes].item<double>() / all;
  majority_ = counts.narrow(0, 0, classes).max().item<double>() / all;
}

bool Classifier::load(const std::string& path) {
  std::map<std::string, torch::Tensor> kept;
  comm_.together([&] {
    std::error_code unreadable;
    if (path.empty() || comm_.rank() != 0 || !fs::exists(path, unreadable)) return;
    try {
      kept = read_safetensors(path);
      for (const auto& [name, tensor] : weights_of(*system_))
        require(kept.contains(name) && kept.at(name).sizes() == tensor.sizes(), Exit::data,
                "it holds no {} of {}", name, c10::str(tensor.sizes()));
      require(kept.contains(kTested) && kept.at(kTested).numel() == 2, Exit::data, "it holds no test");
      require(kept.contains(kDigest) && kept.at(kDigest).numel() == 1 &&
                  kept.at(kDigest).item<int64_t>() == digest_of(kept),
              Exit::data, "its checksum differs");
    } catch (const std::exception& error) {
      log::warn("'{}' is made anew, for it cannot be used: {}", path, error.what());
      kept.clear();
    }
  });
  if (comm_.broadcast_text(kept.empty() ? "no" : "yes") == "no") return false;
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights_of(*system_)) {
    if (!kept.empty()) torch::Tensor(tensor).copy_(kept.at(name));
    comm_.broadcast(tensor, 0, name);
  }
  torch::Tensor tested = torch::zeros({2}, torch::dtype(torch::kDouble).device(comm_.device()));
  if (!kept.empty()) tested.copy_(kept.at(kTested));
  comm_.broadcast(tested, 0, kTested);
  accuracy_ = tested[0].item<double>();
  majority_ = tested[1].item<double>();
  return true;
}

void Classifier::save(const std::string& path) const {
  if (path.empty() || comm_.rank() != 0) return;
  try {
    std::map<std::string, torch::Tensor> kept;
    for (const auto& [name, tensor] : weights_of(*system_)) kept[name] = tensor.detach().cpu();
    kept[kTested] = torch::tensor({accuracy_, majority_}, torch::kDouble);
    kept[kDigest] = torch::full({1}, digest_of(kept), torch::kLong);
    fs::create_directories(fs::path(path).parent_path());
    // Two jobs may write it at once.
    const std::string mine = fmt::format("{}.{}.{}", path, comm_.host(), getpid());
    write_safetensors(mine, kept, {{"system", "classifier"}});
    fs::rename(mine, path);
  } catch (const std::exception& error) {
    log::warn("the classifier is not kept in SADDLE_CACHE for the next call: {}", error.what());
  }
}

Seen Classifier::see(const torch::Tensor& images) const {
  const at::NoGradGuard no_grad;
  const Net net = *system_->find("C");
  std::vector<torch::Tensor> features, scores;
  const int64_t piece = samples_at_ease(images.numel() / std::max<int64_t>(1, images.size(0)) * 4);
  for (const torch::Tensor& some : images.to(comm_.device(), torch::kFloat).split(piece)) {
    const Output out = net.run(*net.live, {some});
    features.push_back(out.more["features"]);
    scores.push_back(out.x);
  }
  return {torch::cat(features), torch::cat(scores)};
}

torch::Tensor Classifier::predict(const torch::Tensor& images) const {
  return see(images).scores.argmax(1);
}

std::string Classifier::name() const {
  std::string text;
  for (const auto& [name, tensor] : weights_of(*system_)) {
    const torch::Tensor bytes = tensor.detach().cpu().contiguous();
    text += hash_text({static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()});
  }
  return "classifier:" + hash_text(text).substr(0, 8);
}

std::string cache_folder() {
  if (const char* folder = std::getenv("SADDLE_CACHE")) return folder;
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder && *folder)
    return std::string(folder).append("/saddle");
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::string(home).append("/.cache/saddle");
  return "";
}

}  // namespace saddle
