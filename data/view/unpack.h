// A data set of pictures back to files that other programs read.
#pragma once

#include <string>

#include "data/dataset.h"

namespace saddle {

// The field image as PNG, in the layout of StyleGAN's dataset_tool: 00000/img00000000.png, stored
// uncompressed, and dataset.json with the labels: of the field `label`, else the vectors of `features`, else
// null. Written to a temporary name, then renamed. Exit::usage if there are no pictures or `path` exists,
// Exit::io if it cannot be written.
void write_stylegan_zip(const Dataset& data, const std::string& path);

// The same pictures as img00000000.png, in a sub-folder a class if there are classes, which `saddle pack`
// reads back. Exit::usage if the folder holds anything.
void write_picture_folder(const Dataset& data, const std::string& folder);

}  // namespace saddle
