// A run's nets as files that PyTorch loads without this program: safetensors of the weights, or TorchScript
// that runs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/run/load_run.h"

namespace saddle {

struct ExportOptions {
  std::vector<std::string> nets;  // empty: what samples are drawn with
  bool raw = false;               // the live weights instead of the averaged ones
};

// What a reader of the exported file needs to know: system, step, options, data and schema of the run, the
// nets and which of their weights, inputs and output with their shapes ("N" is the batch), distribution and
// range of values.
nlohmann::json describe_export(LoadedRun& run, const ExportOptions& options);

// Both write `path` whole or not at all. Exit::usage for a net the system does not have.
// Tensors by name, "G.up0.weight", in PyTorch's layouts; the description is the metadata, a text a key.
void export_safetensors(LoadedRun& run, const ExportOptions& options, const std::string& path);
// One function of the description's inputs, or for one chosen net of a sample [N, shape...] and, if
// conditional, its labels. The file is loaded again and compared with the run's own results on batches of 1,
// 7 and 64: returns the largest difference, Exit::usage if it is not a rounding error, as for a net that
// compares the samples of a batch. The description is the extra file saddle.json.
double export_torchscript(LoadedRun& run, const ExportOptions& options, const std::string& path);

}  // namespace saddle
