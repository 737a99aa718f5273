#include "data/pack/resize.h"

#include <ATen/ops/_upsample_bilinear2d_aa.h>

#include "data/pack/source.h"

namespace saddle {
namespace {

torch::Tensor crop(const torch::Tensor& picture, ImageSize to) {
  const int64_t height = picture.size(1), width = picture.size(2);
  const int64_t h = std::min(height, std::max<int64_t>(1, width * to.height / to.width));
  const int64_t w = std::min(width, std::max<int64_t>(1, height * to.width / to.height));
  return picture.narrow(1, (height - h) / 2, h).narrow(2, (width - w) / 2, w);
}

torch::Tensor recolour(const torch::Tensor& picture, int64_t channels) {  // as floats
  const torch::Tensor floats = picture.to(torch::kFloat);
  if (picture.size(0) == channels) return floats;
  if (channels == 3) return floats.expand({3, -1, -1});
  return (floats[0] * 0.299 + floats[1] * 0.587 + floats[2] * 0.114).unsqueeze(0);  // ITU-R 601
}

}  // namespace

torch::Tensor fit(const torch::Tensor& picture, const Fit& how) {
  const bool same_size = picture.size(1) == how.size.height && picture.size(2) == how.size.width;
  if (same_size && picture.size(0) == how.channels) return picture;
  torch::Tensor out = recolour(crop(picture, how.size), how.channels);
  if (!same_size)
    out = at::_upsample_bilinear2d_aa(out.unsqueeze(0), {how.size.height, how.size.width},
                                      /*align_corners=*/false)[0];
  return out.round().clamp(0, 255).to(torch::kByte).contiguous();
}

}  // namespace saddle
