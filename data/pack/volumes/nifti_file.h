// NIfTI-1 and NIfTI-2 volumes (nifti.nimh.nih.gov; Cox et al. 2004) in single files, compressed or not, of
// either byte order, turned so that anatomy is upright.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/pack/files/gz.h"

namespace saddle {

// Along depth, from inferior to superior; height, from anterior to posterior; width, from left to right.
using Extents = std::array<int64_t, 3>;

struct NiftiHeader {
  std::string path;
  Extents extents = {};
  int64_t volumes = 1;  // along the fourth extent, time

  // Of the file: the first extent is the fastest.
  int datatype = 0;
  int64_t width = 0;  // bytes of a value
  bool swapped = false;
  int64_t offset = 0;  // bytes before the first voxel
  double slope = 1, inter = 0;
  std::array<int64_t, 3> voxels = {};
  std::array<int, 3> axis = {};      // which of the file's extents is depth, height, width
  std::array<bool, 3> flipped = {};  // it runs the other way

  int64_t count() const { return voxels[0] * voxels[1] * voxels[2]; }                  // of one volume
  int64_t bytes() const { return count() * std::max<int64_t>(width, sizeof(float)); }  // of one in memory
};

// Exit::data if the file is no NIfTI, of a kind that is not read, or claims more than it can hold.
NiftiHeader read_nifti_header(const std::string& path);

struct Volume {
  Extents extents;
  std::vector<float> values;  // [depth, height, width], scaled
  float low = 0, high = 0;    // of the finite values
};

// Reads volumes of one file; in rising order each byte is read once.
class NiftiReader {
 public:
  explicit NiftiReader(const NiftiHeader& header) : header_(header) {}
  Volume read(int64_t volume);

 private:
  NiftiHeader header_;
  std::optional<GzFile> file_;
};

}  // namespace saddle
