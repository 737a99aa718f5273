// Collectives that autograd differentiates, any number of times: for blocks whose result depends on the
// samples of all ranks.
//
// Convention. The loss is the sum over ranks of what each rank calls backward on, and a leaf's gradient is
// the derivative of that sum. So each rank scales its mean loss by its share of the samples (as optimise()
// does), and gradients of parameters, of which every rank has a copy, are summed over ranks (as Replica
// does): both then equal those of one rank with the whole batch, to any order. A loss on the gradient of a
// *parameter* sums that gradient with `sum_over_ranks` first; gradients of samples are whole as they are.
//
// The derivative of a collective is a collective: every rank must run the same backward passes. A rank
// without samples runs the same code on tensors of 0 rows, with sums in place of means; a rank that has no
// other use for a result adds the same function of it, times 0, to its loss. Leaving it out leaves the other
// ranks waiting.
#pragma once

#include <vector>

#include "dist/comm.h"

namespace c10 {
struct IValue;
}

namespace saddle {

// Collective. The sum over ranks of `tensor`, of one shape and dtype on all of them; `tensor` itself on one
// rank.
torch::Tensor sum_over_ranks(const torch::Tensor& tensor, const Comm& comm,
                             const std::string& name = "sum_over_ranks");

// Collective. [n_r, ...] -> [sum n_r, ...], in order of rank; n_r may differ and be 0, the rest of the shape
// may not. Its derivative is the sum over ranks of the gradients of this rank's rows.
torch::Tensor rows_of_all_ranks(const torch::Tensor& tensor, const Comm& comm,
                                const std::string& name = "rows_of_all_ranks");
// The same where the n_r are known: saves a collective.
torch::Tensor rows_of_all_ranks(const torch::Tensor& tensor, const std::vector<int64_t>& rows_by_rank,
                                const Comm& comm, const std::string& name = "rows_of_all_ranks");
// Collective, on the host: waits for no device. How many each rank has.
std::vector<int64_t> rows_by_rank(int64_t mine, const Comm& comm);
int64_t first_row(const std::vector<int64_t>& rows_by_rank, const Comm& comm);  // of this rank in the whole

// A Comm in an AutogradContext's saved_data.
c10::IValue saved(const Comm& comm);
const Comm& comm_of(const c10::IValue& saved);

}  // namespace saddle
