#include "data/feed/transforms.h"

#include <algorithm>
#include <cstring>

#include "data/dataset.h"
#include "dist/error.h"
#include "dist/random.h"

namespace saddle {
namespace {

// Draw number `draw` of a position, in [0, high).
int64_t below(const Stream& stream, int64_t position, uint64_t draw, int64_t high) {
  return int64_t((unsigned __int128)(Stream(stream.key, "position", uint64_t(position) * 2 + draw).key) *
                     (unsigned __int128)(high) >>
                 64);
}

const Field& picture_field(const Schema& schema, const char* who) {
  for (const Field& field : schema.fields)
    if (field.shape.size() >= 3) return field;
  fail(Exit::usage, "{} is for pictures, the data set has {}", who, describe(schema));
}

bool ends_like(at::IntArrayRef shape, int64_t height, int64_t width) {
  return shape.size() >= 2 && shape[shape.size() - 2] == height && shape[shape.size() - 1] == width;
}

// Height and width of the pictures in a batch.
std::pair<int64_t, int64_t> extent(const Batch& batch) {
  for (const auto& [name, tensor] : batch)
    if (tensor.dim() >= 4) return {tensor.size(-2), tensor.size(-1)};
  fail(Exit::bug, "no pictures in the batch");
}

template <class T>
void reverse_rows(void* data, int64_t rows, int64_t width) {
  T* row = static_cast<T*>(data);
  for (int64_t r = 0; r < rows; ++r, row += width) std::reverse(row, row + width);
}

void reverse_rows(void* data, int64_t rows, int64_t width, int64_t element) {
  switch (element) {
    case 1:
      return reverse_rows<uint8_t>(data, rows, width);
    case 2:
      return reverse_rows<uint16_t>(data, rows, width);
    case 4:
      return reverse_rows<uint32_t>(data, rows, width);
    default:
      return reverse_rows<uint64_t>(data, rows, width);
  }
}

// Row i of the window at `y`, `x` of every plane of `from`, to `to`, whose planes have the window's extent.
void copy_window(const torch::Tensor& from, const torch::Tensor& to, int64_t sample, int64_t y, int64_t x) {
  const auto element = int64_t(from.element_size());
  const int64_t height = to.size(-2), bytes = to.size(-1) * element;
  const int64_t line = from.size(-1) * element, plane = from.size(-2) * line;
  const int64_t planes = from.size(0) ? from.numel() / from.size(0) / (from.size(-2) * from.size(-1)) : 0;
  const char* in =
      static_cast<const char*>(from.const_data_ptr()) + sample * planes * plane + y * line + x * element;
  char* out = static_cast<char*>(to.mutable_data_ptr()) + sample * planes * height * bytes;
  for (int64_t p = 0; p < planes; ++p, in += plane)
    for (int64_t row = 0; row < height; ++row, out += bytes) std::memcpy(out, in + row * line, size_t(bytes));
}

Schema clipped(Schema schema, const std::string& name, int64_t length) {
  static_cast<void>(schema[name]);  // must be there
  for (Field& field : schema.fields)
    if (field.name == name) {
      require(field.variable, Exit::usage, "clip: field {} is not variable: {}", name, describe(schema));
      field.shape[0] = length;
    }
  return schema;
}

}  // namespace

Transform mirror(uint64_t seed) {
  const auto schema = [](const Schema& in) {
    picture_field(in, "data.mirror");
    return in;
  };
  const auto apply = [stream = Stream(seed, "mirror")](const Batch& batch,
                                                       const std::vector<int64_t>& positions) {
    const auto [height, width] = extent(batch);
    for (const auto& [name, tensor] : batch) {
      if (!ends_like(tensor.sizes().slice(1), height, width)) continue;
      const auto bytes = int64_t(tensor.nbytes()) / std::max<int64_t>(1, tensor.size(0));
      char* data = static_cast<char*>(tensor.mutable_data_ptr());
      for (size_t i = 0; i < positions.size(); ++i)
        if (below(stream, positions[i], 0, 2) == 1)
          reverse_rows(data + int64_t(i) * bytes, bytes / int64_t(tensor.element_size()) / width, width,
                       int64_t(tensor.element_size()));
    }
    return batch;
  };
  return {.schema = schema, .apply = apply};
}

Transform crop(int64_t height, int64_t width, uint64_t seed) {
  const auto schema = [=](Schema in) {
    const Field& picture = picture_field(in, "data.crop");
    const int64_t h = *(picture.shape.end() - 2), w = *(picture.shape.end() - 1);
    require(height <= h && width <= w, Exit::usage, "data.crop of {}x{} from pictures of {}x{}", height,
            width, h, w);
    for (Field& field : in.fields)
      if (ends_like(field.shape, h, w)) {
        *(field.shape.end() - 2) = height;
        *(field.shape.end() - 1) = width;
      }
    return in;
  };
  const auto apply = [=, stream = Stream(seed, "crop")](const Batch& batch,
                                                        const std::vector<int64_t>& positions) {
    const auto [h, w] = extent(batch);
    Batch out;
    for (const auto& [name, tensor] : batch) {
      if (!ends_like(tensor.sizes().slice(1), h, w)) {
        out.set(name, tensor);
        continue;
      }
      std::vector<int64_t> sizes = tensor.sizes().vec();
      *(sizes.end() - 2) = height;
      *(sizes.end() - 1) = width;
      torch::Tensor part = torch::empty(sizes, tensor.options().pinned_memory(tensor.is_pinned()));
      for (size_t i = 0; i < positions.size(); ++i)
        copy_window(tensor, part, int64_t(i), below(stream, positions[i], 0, h - height + 1),
                    below(stream, positions[i], 1, w - width + 1));
      out.set(name, part);
    }
    return out;
  };
  return {.schema = schema, .apply = apply};
}

Transform clip(const std::string& field, int64_t length, uint64_t seed) {
  const auto apply = [=, stream = Stream(seed, "clip")](const Batch& batch,
                                                        const std::vector<int64_t>& positions) {
    const std::string lengths = field + "_length";
    const torch::Tensor &from = batch[field], &of = batch[lengths];
    std::vector<int64_t> sizes = from.sizes().vec();
    sizes[1] = length;
    torch::Tensor to = torch::empty(sizes, from.options().pinned_memory(from.is_pinned())),
                  kept = torch::empty_like(of);
    const auto rows = std::max<int64_t>(1, from.size(0));
    const int64_t step = int64_t(from.nbytes()) / rows / from.size(1);
    for (int64_t i = 0; i < int64_t(positions.size()); ++i) {
      const int64_t all = of.const_data_ptr<int64_t>()[i], some = std::min(all, length);
      const int64_t first = below(stream, positions[size_t(i)], 0, all - some + 1);
      char* out = static_cast<char*>(to.mutable_data_ptr()) + i * length * step;
      std::memcpy(out, static_cast<const char*>(from.const_data_ptr()) + (i * from.size(1) + first) * step,
                  size_t(some * step));
      std::memset(out + some * step, 0, size_t((length - some) * step));
      kept.mutable_data_ptr<int64_t>()[i] = some;
    }
    Batch out = batch;
    out.set(field, to);
    out.set(lengths, kept);
    return out;
  };
  return {.schema = [=](const Schema& in) { return clipped(in, field, length); }, .apply = apply};
}

}  // namespace saddle
