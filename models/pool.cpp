#include "models/pool.h"

#include "dist/differentiable.h"

namespace saddle {

ImagePool::ImagePool(System& system, const std::string& name, int64_t images, at::IntArrayRef shape)
    : comm_(system.context().comm), most_(images) {
  if (most_ == 0) return;
  std::vector<int64_t> rows = shape.vec();
  rows.insert(rows.begin(), 0);
  pool_ = system.keep_rows("pool." + name, torch::zeros(rows, torch::dtype(system.context().dtype)));
}

torch::Tensor ImagePool::operator()(Step& step, const torch::Tensor& images) const {
  if (most_ == 0) return images.detach();
  const at::NoGradGuard no_grad;
  const std::vector<int64_t> rows = rows_by_rank(images.size(0), comm_);
  const torch::Tensor all = rows_of_all_ranks(images.detach(), rows, comm_, "pool");
  // Of each image: whether it is exchanged, and with which.
  const torch::Tensor drawn = step.shared({all.size(0), 2}).to(torch::kCPU, torch::kDouble);
  std::vector<torch::Tensor> stored, out;
  if (pool_->size(0) > 0) stored = pool_->unbind(0);
  for (int64_t i = 0; i < all.size(0); ++i) {
    const torch::Tensor image = all[i];
    if (static_cast<int64_t>(stored.size()) < most_) {
      stored.push_back(image);
      out.push_back(image);
    } else if (drawn[i][0].item<double>() < 0.5) {
      const auto place = static_cast<size_t>(drawn[i][1].item<double>() * static_cast<double>(most_));
      out.push_back(std::exchange(stored[place], image));
    } else {
      out.push_back(image);
    }
  }
  *pool_ = torch::stack(stored);
  return torch::stack(out).narrow(0, first_row(rows, comm_), images.size(0));
}

}  // namespace saddle
