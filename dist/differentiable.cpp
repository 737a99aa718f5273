#include "dist/differentiable.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>

#include "dist/error.h"

namespace saddle {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct SavedComm : torch::CustomClassHolder {
  explicit SavedComm(Comm comm) : comm(std::move(comm)) {}
  Comm comm;
};

// The map from all ranks' inputs to all ranks' sums is symmetric, so it is its own derivative's transpose.
struct Sum : torch::autograd::Function<Sum> {
  static Tensor forward(AutogradContext* context, const Tensor& tensor, const Comm& comm,
                        const std::string& name) {
    context->saved_data["comm"] = saved(comm);
    context->saved_data["name"] = name;
    Tensor sum = tensor.clone(at::MemoryFormat::Contiguous);
    comm.all_reduce(sum, Reduce::sum, name);
    return sum;
  }
  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    return {sum_over_ranks(grads[0], comm_of(context->saved_data["comm"]),
                           context->saved_data["name"].toStringRef()),
            {},
            {}};
  }
};

// Ranks send the same number of rows, the greatest, and cut what they get.
Tensor concatenate(const Tensor& mine, const std::vector<int64_t>& rows, const Comm& comm,
                   const std::string& name) {
  const int64_t most = *std::max_element(rows.begin(), rows.end());
  Tensor padded = mine.contiguous();
  if (mine.size(0) < most) {
    std::vector<int64_t> shape = mine.sizes().vec();
    shape[0] = most - mine.size(0);
    padded = torch::cat({padded, torch::zeros(shape, mine.options())});
  }
  const Tensor gathered = comm.all_gather(padded, name);
  std::vector<Tensor> parts;
  for (int r = 0; r < comm.size(); ++r) parts.push_back(gathered[r].narrow(0, 0, rows[r]));
  return torch::cat(parts);
}

struct Rows : torch::autograd::Function<Rows> {
  static Tensor forward(AutogradContext* context, const Tensor& tensor, const std::vector<int64_t>& rows,
                        const Comm& comm, const std::string& name) {
    context->saved_data["comm"] = saved(comm);
    context->saved_data["name"] = name;
    context->saved_data["first"] = first_row(rows, comm);
    context->saved_data["count"] = tensor.size(0);
    return concatenate(tensor, rows, comm, name);
  }
  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const Tensor all = sum_over_ranks(grads[0], comm_of(context->saved_data["comm"]),
                                      context->saved_data["name"].toStringRef());
    return {all.narrow(0, context->saved_data["first"].toInt(), context->saved_data["count"].toInt()),
            {},
            {},
            {}};
  }
};

}  // namespace

Tensor sum_over_ranks(const Tensor& tensor, const Comm& comm, const std::string& name) {
  return comm.size() == 1 ? tensor : Sum::apply(tensor, comm, name);
}

Tensor rows_of_all_ranks(const Tensor& tensor, const Comm& comm, const std::string& name) {
  return rows_of_all_ranks(tensor, rows_by_rank(tensor.size(0), comm), comm, name);
}

Tensor rows_of_all_ranks(const Tensor& tensor, const std::vector<int64_t>& rows_by_rank, const Comm& comm,
                         const std::string& name) {
  require(static_cast<int>(rows_by_rank.size()) == comm.size() && rows_by_rank[comm.rank()] == tensor.size(0),
          Exit::bug, "rows_of_all_ranks wants the rows of all {} ranks, {} of them here; found {}",
          comm.size(), tensor.size(0), c10::str(rows_by_rank));
  return comm.size() == 1 ? tensor : Rows::apply(tensor, rows_by_rank, comm, name);
}

std::vector<int64_t> rows_by_rank(int64_t mine, const Comm& comm) {
  std::vector<int64_t> rows;
  for (const std::string& text : comm.all_gather_text(std::to_string(mine), "rows_by_rank"))
    rows.push_back(std::stoll(text));
  return rows;
}

int64_t first_row(const std::vector<int64_t>& rows_by_rank, const Comm& comm) {
  return std::accumulate(rows_by_rank.begin(), rows_by_rank.begin() + comm.rank(), int64_t{0});
}

c10::IValue saved(const Comm& comm) {
  return c10::IValue::make_capsule(c10::make_intrusive<SavedComm>(comm));
}

const Comm& comm_of(const c10::IValue& saved) {
  return static_cast<const SavedComm&>(*saved.toCapsule()).comm;
}

}  // namespace saddle
