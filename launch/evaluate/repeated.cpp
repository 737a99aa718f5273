#include "launch/evaluate/repeated.h"

#include "data/feed/loader.h"
#include "data/feed/sampler.h"
#include "data/store/index.h"
#include "dist/error.h"
#include "dist/safetensors.h"
#include "launch/flags.h"
#include "models/gan.h"

namespace saddle {
namespace {

std::shared_ptr<Dataset> of_tensors(const std::string& path, const Field& label) {
  const auto tensors =
      read_safetensors(path, [](const std::string& name) { return name == "image" || name == "label"; });
  const auto image = tensors.find("image"), classes = tensors.find("label");
  require(image != tensors.end() && image->second.dim() == 4 && image->second.size(0) > 0, Exit::usage,
          "'{}' holds no images: expected the tensor image [N, C, H, W], as `saddle sample --out "
          "FILE.safetensors` writes it",
          path);
  torch::Tensor pixels = image->second;
  if (pixels.scalar_type() != torch::kByte) pixels = pixels.to(torch::kFloat);
  require(pixels.scalar_type() == torch::kByte ||
              pixels.abs().le(1.5).logical_or(pixels.isfinite().logical_not()).all().item<bool>(),
          Exit::usage, "'{}': images of floats are in [-1, 1], these go from {:.3g} to {:.3g}: scale them",
          path, pixels.min().item<double>(), pixels.max().item<double>());
  Schema schema{{{.name = "image",
                  .shape = pixels.sizes().slice(1).vec(),
                  .dtype = pixels.scalar_type(),
                  .classes = 0,
                  .class_names = {}}}};
  Batch samples{{"image", pixels}};
  if (classes != tensors.end() && classes->second.dim() == 1 && classes->second.size(0) == pixels.size(0) &&
      label.classes > 0) {
    const torch::Tensor& numbers = classes->second;
    require(numbers.ge(0).logical_and(numbers.lt(label.classes)).all().item<bool>(), Exit::usage,
            "'{}': labels of {} classes are 0 to {}, these go from {} to {}", path, label.classes,
            label.classes - 1, numbers.min().item<double>(), numbers.max().item<double>());
    schema.fields.push_back(label);
    samples.set("label", classes->second.to(torch::kLong));
  }
  return in_memory(schema, samples);
}

}  // namespace

std::shared_ptr<Dataset> open_samples(const std::string& path, const Field& label) {
  if (ending_of(path) == ".safetensors") return of_tensors(path, label);
  require(
      has_index(path), Exit::usage,
      "'{}' is neither a folder made by `saddle pack` nor a .safetensors file: pack pictures first, `saddle "
      "pack {} --out DIR`",
      path, path);
  return open_shards(path);
}

System repeated(const std::shared_ptr<Dataset>& samples, const Comm& comm) {
  System system({.comm = comm});
  const std::string image = main_field(samples->schema()).name;
  const bool labelled = samples->schema().has("label");
  system.sample = [=](Sampling& q) {
    const Range places = q.samples();
    const Batch rows = samples->read(samples_at(sequential(samples->size()), places.first, places.count));
    Batch drawn{{image, to_model(rows[image], q.device(), torch::kFloat)}};
    if (labelled) drawn.set("label", rows["label"].to(q.device()));
    return drawn;
  };
  return system;
}

}  // namespace saddle
