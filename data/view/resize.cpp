// Plain loops: packing has a thread a core, in each of which torch's operators would only get in the way.
#include "data/view/resize.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numbers>
#include <vector>

#include "dist/error.h"

namespace saddle {
namespace {

struct Filter {
  double support;  // the kernel is zero beyond it
  double (*weight)(double x);
};

double box(double x) {
  return x > -0.5 && x <= 0.5 ? 1 : 0;
}

double triangle(double x) {
  return std::max(0.0, 1 - std::abs(x));
}

double cubic(double x) {  // Keys 1981, with a = -0.5
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

double sinc(double x) {
  return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

double lanczos(double x) {
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

const Filter& filter_of(const std::string& name) {
  static const std::map<std::string, Filter> table{
      {"box", {0.5, box}}, {"bilinear", {1, triangle}}, {"bicubic", {2, cubic}}, {"lanczos", {3, lanczos}}};
  const auto found = table.find(name);
  require(found != table.end(), Exit::usage, "--filter: expected box, bilinear, bicubic or lanczos, found {}",
          name);
  return found->second;
}

// What one output pixel is made of along one axis.
template <class W>
struct Tap {
  int64_t first;
  std::vector<W> weights;  // of sum 1
};

Tap<double> tap(const Filter& filter, int64_t from, int64_t to, int64_t at) {
  const double scale = double(from) / double(to), stretch = std::max(1.0, scale);
  const double centre = (double(at) + 0.5) * scale, reach = filter.support * stretch;
  const int64_t first = std::max<int64_t>(0, int64_t(centre - reach + 0.5));
  const int64_t last = std::min(from, int64_t(centre + reach + 0.5));
  Tap<double> out{.first = first, .weights = {}};
  double sum = 0;
  for (int64_t i = first; i < last; ++i) {
    out.weights.push_back(filter.weight((double(i) - centre + 0.5) / stretch));
    sum += out.weights.back();
  }
  for (double& weight : out.weights) weight /= sum;
  return out;
}

constexpr int kFraction = 32 - 8 - 2;  // bits of a fixed-point weight, of which a sum of bytes fits 32 bits

std::vector<Tap<double>> taps(const Filter& filter, int64_t from, int64_t to, double) {
  std::vector<Tap<double>> out;
  for (int64_t at = 0; at < to; ++at) out.push_back(tap(filter, from, to, at));
  return out;
}

std::vector<Tap<int32_t>> taps(const Filter& filter, int64_t from, int64_t to, int32_t) {
  std::vector<Tap<int32_t>> out;
  for (int64_t at = 0; at < to; ++at) {
    const Tap<double> exact = tap(filter, from, to, at);
    out.push_back({.first = exact.first, .weights = {}});
    for (double weight : exact.weights)
      out.back().weights.push_back(int32_t(std::round(weight * double(1 << kFraction))));
  }
  return out;
}

// How the values of a type are summed and rounded: bytes as Pillow does, in fixed point.
template <class T>
struct Arithmetic {
  using Sum = double;
  using Between = float;  // of the horizontal pass's result
  static constexpr Sum kStart = 0;
  static float between(Sum sum) { return float(sum); }
  static T last(Sum sum) {
    if constexpr (std::is_floating_point_v<T>) return T(sum);
    return T(std::clamp(std::floor(sum + 0.5), 0.0, 65535.0));
  }
};

template <>
struct Arithmetic<uint8_t> {
  using Sum = int32_t;
  using Between = uint8_t;
  static constexpr Sum kStart = 1 << (kFraction - 1);
  static uint8_t between(Sum sum) { return uint8_t(std::clamp(sum >> kFraction, 0, 255)); }
  static uint8_t last(Sum sum) { return between(sum); }
};

template <class T, class A = Arithmetic<T>>
void widen(const T* from, int64_t width, const std::vector<Tap<typename A::Sum>>& columns,
           typename A::Between* to) {
  for (const auto& column : columns) {
    typename A::Sum sum = A::kStart;
    const T* pixel = from + column.first;
    for (const auto weight : column.weights) sum += weight * typename A::Sum(*pixel++);
    *to++ = A::between(sum);
  }
}

template <class T, class A = Arithmetic<T>>
void heighten(const typename A::Between* from, int64_t width, const Tap<typename A::Sum>& row,
              std::vector<typename A::Sum>& sums, T* to) {
  std::fill(sums.begin(), sums.end(), A::kStart);
  from += row.first * width;
  for (const auto weight : row.weights) {
    for (int64_t x = 0; x < width; ++x) sums[size_t(x)] += weight * typename A::Sum(from[x]);
    from += width;
  }
  for (int64_t x = 0; x < width; ++x) to[x] = A::last(sums[size_t(x)]);
}

template <class T>
void resize_as(const torch::Tensor& from, torch::Tensor& to, const Filter& filter) {
  using A = Arithmetic<T>;
  const int64_t height = from.size(1), width = from.size(2), out_height = to.size(1), out_width = to.size(2);
  const auto columns = taps(filter, width, out_width, typename A::Sum{});
  const auto rows = taps(filter, height, out_height, typename A::Sum{});
  std::vector<typename A::Between> between(size_t(height * out_width));
  std::vector<typename A::Sum> sums(static_cast<size_t>(out_width));
  for (int64_t c = 0; c < from.size(0); ++c) {
    const T* source = from.const_data_ptr<T>() + c * height * width;
    T* target = to.data_ptr<T>() + c * out_height * out_width;
    for (int64_t y = 0; y < height; ++y)
      widen<T>(source + y * width, width, columns, between.data() + y * out_width);
    for (int64_t y = 0; y < out_height; ++y)
      heighten<T>(between.data(), out_width, rows[size_t(y)], sums, target + y * out_width);
  }
}

void resize_nearest(const torch::Tensor& from, torch::Tensor& to) {
  const int64_t height = from.size(1), width = from.size(2), out_height = to.size(1), out_width = to.size(2);
  const int64_t bytes = from.element_size();
  const auto* source = static_cast<const char*>(from.const_data_ptr());
  auto* target = static_cast<char*>(to.data_ptr());
  for (int64_t c = 0; c < from.size(0); ++c)
    for (int64_t y = 0; y < out_height; ++y)
      for (int64_t x = 0; x < out_width; ++x, target += bytes) {
        const int64_t row = (2 * y + 1) * height / (2 * out_height),
                      column = (2 * x + 1) * width / (2 * out_width);
        std::memcpy(target, source + ((c * height + row) * width + column) * bytes, size_t(bytes));
      }
}

// The part of `from` that `fit` uses, and the part of the result that it fills.
struct Place {
  int64_t top = 0, left = 0;
  ImageSize size;
};

Place centred(ImageSize whole, ImageSize part) {
  return {.top = (whole.height - part.height) / 2, .left = (whole.width - part.width) / 2, .size = part};
}

// The largest size of the aspect of `shape` that fits into `whole`.
ImageSize inscribed(ImageSize whole, ImageSize shape) {
  const auto scaled = [](int64_t side, int64_t to, int64_t from) {
    return std::max<int64_t>(1, int64_t(double(side) * double(to) / double(from) + 0.5));
  };
  return {.height = std::min(whole.height, scaled(whole.width, shape.height, shape.width)),
          .width = std::min(whole.width, scaled(whole.height, shape.width, shape.height))};
}

ImageSize size_of(const torch::Tensor& picture) {
  return {.height = picture.size(1), .width = picture.size(2)};
}

template <class T>
constexpr int64_t kWhite = sizeof(T) == 1 ? 255 : 65535;

template <class T>
torch::Tensor blank(int64_t channels, ImageSize size) {
  return torch::empty({channels, size.height, size.width}, sizeof(T) == 1 ? torch::kByte : torch::kUInt16);
}

int64_t luma(int64_t red, int64_t green, int64_t blue) {  // ITU-R 601; of grey, the grey itself
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
}

template <class T>
std::array<int64_t, 3> behind(const Fit& how) {
  std::array<int64_t, 3> out;
  for (size_t c = 0; c < 3; ++c) out[c] = how.background[c] * (kWhite<T> / 255);
  return out;
}

// One pixel of any kind as red, green, blue and opacity.
template <class T>
std::array<int64_t, 4> pixel_of(const T* at, int64_t channels, int64_t area) {
  const int64_t alpha = channels % 2 ? kWhite<T> : at[(channels - 1) * area];
  if (channels < 3) return {at[0], at[0], at[0], alpha};
  return {at[0], at[area], at[2 * area], alpha};
}

// Part of a picture, in its own depth or a deeper one, in the colours wanted: over the background, or RGBA
// with colours that are, to be resized, multiplied by their opacity.
template <class From, class T>
torch::Tensor recolour(const torch::Tensor& picture, const Place& part, const Fit& how, bool multiply) {
  const int64_t area = picture.size(1) * picture.size(2), to_area = part.size.height * part.size.width;
  const auto background = behind<T>(how);
  constexpr int64_t kScale = kWhite<T> / kWhite<From>;
  torch::Tensor out = blank<T>(how.channels, part.size);
  T* to = out.data_ptr<T>();
  const auto blend = [](int64_t a, int64_t b, int64_t alpha) {
    return (a * alpha + b * (kWhite<T> - alpha) + kWhite<T> / 2) / kWhite<T>;
  };
  const bool opaque = picture.size(0) % 2 == 1 || (how.channels == 4 && !multiply);
  for (int64_t y = 0; y < part.size.height; ++y) {
    const From* from = picture.const_data_ptr<From>() + (part.top + y) * picture.size(2) + part.left;
    for (int64_t x = 0; x < part.size.width; ++x, ++from, ++to) {
      auto pixel = pixel_of(from, picture.size(0), area);
      for (int64_t& value : pixel) value *= kScale;
      for (size_t c = 0; c < 3 && !opaque && pixel[3] != kWhite<T>; ++c)
        pixel[c] = blend(pixel[c], how.channels == 4 ? 0 : background[c], pixel[3]);
      if (how.channels == 1) pixel[0] = luma(pixel[0], pixel[1], pixel[2]);
      for (int64_t c = 0; c < how.channels; ++c) to[c * to_area] = T(pixel[size_t(c)]);
    }
  }
  return out;
}

template <class T>
void divide_by_opacity(torch::Tensor& picture) {
  const int64_t area = picture.size(1) * picture.size(2);
  T* at = picture.data_ptr<T>();
  for (int64_t i = 0; i < area; ++i, ++at) {
    const int64_t alpha = at[3 * area];
    for (int64_t c = 0; alpha != 0 && c < 3; ++c)
      at[c * area] = T(std::min(kWhite<T>, (at[c * area] * kWhite<T> + alpha / 2) / alpha));
  }
}

template <class T>
torch::Tensor pad(const torch::Tensor& picture, const Fit& how) {
  const auto background = behind<T>(how);
  const std::array<int64_t, 4> around{
      how.channels == 1 ? luma(background[0], background[1], background[2]) : background[0], background[1],
      background[2], 0};
  const Place place = centred(how.size, size_of(picture));
  torch::Tensor out = blank<T>(how.channels, how.size);
  T* to = out.data_ptr<T>();
  const T* from = picture.const_data_ptr<T>();
  for (int64_t c = 0; c < how.channels; ++c, to += how.size.height * how.size.width) {
    std::fill_n(to, how.size.height * how.size.width, T(around[size_t(c)]));
    for (int64_t y = 0; y < place.size.height; ++y, from += place.size.width)
      std::copy_n(from, place.size.width, to + (place.top + y) * how.size.width + place.left);
  }
  return out;
}

torch::Tensor to_bytes(const torch::Tensor& picture) {
  torch::Tensor out = blank<uint8_t>(picture.size(0), size_of(picture));
  const uint16_t* from = picture.const_data_ptr<uint16_t>();
  uint8_t* to = out.data_ptr<uint8_t>();
  for (int64_t i = 0; i < picture.numel(); ++i) to[i] = uint8_t((from[i] * 255 + 32767) / 65535);
  return out;
}

template <class From, class T>
torch::Tensor fit_as(const torch::Tensor& picture, const Fit& how) {
  const ImageSize size = size_of(picture);
  const Place part = centred(size, how.crop == "center" ? inscribed(size, how.size) : size);
  const ImageSize scaled = how.crop == "pad" ? inscribed(how.size, size) : how.size;
  const bool multiply = how.channels == 4 && scaled != part.size && how.filter != "nearest";
  torch::Tensor out = resize(recolour<From, T>(picture, part, how, multiply), scaled, how.filter);
  if (multiply) divide_by_opacity<T>(out);
  if (size_of(out) != how.size) out = pad<T>(out, how);
  return sizeof(T) * 8 > size_t(how.bits) ? to_bytes(out) : out;
}

}  // namespace

torch::Tensor fit(const torch::Tensor& picture, const Fit& how) {
  require(how.crop == "center" || how.crop == "none" || how.crop == "pad", Exit::usage,
          "--crop: expected center, none or pad, found {}", how.crop);
  require(how.channels == 1 || how.channels == 3 || how.channels == 4, Exit::usage,
          "--channels: expected 1, 3 or 4, found {}", how.channels);
  require(how.bits == 8 || how.bits == 16, Exit::usage, "--bits: expected 8 or 16, found {}", how.bits);
  const bool wide = picture.scalar_type() == torch::kUInt16;
  if (size_of(picture) == how.size && picture.size(0) == how.channels && wide == (how.bits == 16))
    return picture;
  const torch::Tensor planes = picture.contiguous();
  if (wide) return fit_as<uint16_t, uint16_t>(planes, how);
  return how.bits == 16 ? fit_as<uint8_t, uint16_t>(planes, how) : fit_as<uint8_t, uint8_t>(planes, how);
}

torch::Tensor resize(const torch::Tensor& picture, ImageSize size, const std::string& filter) {
  require(picture.dim() == 3 && picture.numel() > 0 && size.height > 0 && size.width > 0, Exit::bug,
          "resize: [{}] to {}x{}", fmt::join(picture.sizes(), ", "), size.height, size.width);
  if (size_of(picture) == size) return picture;
  const torch::Tensor from = picture.contiguous();
  torch::Tensor to = torch::empty({picture.size(0), size.height, size.width}, picture.scalar_type());
  if (filter == "nearest")
    resize_nearest(from, to);
  else if (picture.scalar_type() == torch::kByte)
    resize_as<uint8_t>(from, to, filter_of(filter));
  else if (picture.scalar_type() == torch::kUInt16)
    resize_as<uint16_t>(from, to, filter_of(filter));
  else
    resize_as<float>(from, to, filter_of(filter));
  return to;
}

std::array<uint8_t, 3> parse_colour(const std::string& text) {
  require(text.size() == 6 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos,
          Exit::usage, "--background: expected RRGGBB such as ffffff, found {}", text);
  const auto value = std::strtoul(text.c_str(), nullptr, 16);
  return {uint8_t(value >> 16), uint8_t(value >> 8), uint8_t(value)};
}

}  // namespace saddle
