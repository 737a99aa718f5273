#include "data/pack/volumes/nifti_file.h"

#include <nifti/nifti1.h>
#include <nifti/nifti2.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "dist/error.h"

namespace saddle {
namespace {

static_assert(std::endian::native == std::endian::little);

using Matrix =
    std::array<std::array<double, 3>, 3>;  // anatomical axis (right, anterior, superior), voxel axis

template <class T>
T swap_bytes(T value) {
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  std::reverse(bytes.begin(), bytes.end());
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

bool usable(const Matrix& m) {  // every voxel axis points somewhere
  for (size_t v = 0; v < 3; ++v) {
    const double length = std::hypot(m[0][v], m[1][v], m[2][v]);
    if (!std::isfinite(length) || length == 0) return false;
  }
  return true;
}

Matrix of_quaternion(double b, double c, double d, double handedness) {
  const double a = std::sqrt(std::max(0.0, 1 - b * b - c * c - d * d)), s = handedness < 0 ? -1 : 1;
  return {{{a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c) * s},
           {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b) * s},
           {2 * (b * d - a * c), 2 * (c * d + a * b), (a * a + d * d - b * b - c * c) * s}}};
}

// Which voxel axis lies along which anatomical one: the assignment that fits best.
std::array<int, 3> assign(const Matrix& m) {
  std::array<int, 3> order{0, 1, 2}, best = order;
  double most = -1;
  do {
    double sum = 0;
    for (size_t a = 0; a < 3; ++a) {
      const auto v = size_t(order[a]);
      sum += std::abs(m[a][v]) / std::hypot(m[0][v], m[1][v], m[2][v]);
    }
    if (sum > most + 1e-9) most = sum, best = order;
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

void orient(NiftiHeader& out, const Matrix& m) {
  const auto axes = assign(m);  // right, anterior, superior
  constexpr std::array<std::pair<size_t, double>, 3> kWanted{{{2, 1}, {1, -1}, {0, 1}}};
  for (size_t i = 0; i < 3; ++i) {
    const auto [anatomical, direction] = kWanted[i];
    out.axis[i] = axes[anatomical];
    out.flipped[i] = m[anatomical][size_t(out.axis[i])] * direction < 0;
    out.extents[i] = out.voxels[size_t(out.axis[i])];
  }
}

int64_t bytes_of(const NiftiHeader& header) {
  switch (header.datatype) {
    case DT_UINT8:
    case DT_INT8:
      return 1;
    case DT_INT16:
    case DT_UINT16:
      return 2;
    case DT_INT32:
    case DT_FLOAT32:
      return 4;
    case DT_FLOAT64:
      return 8;
    default:
      fail(Exit::data,
           "{}: values of NIfTI type {} are not read, only integers of 8 and 16 bits, int32, float32 and "
           "float64",
           header.path, header.datatype);
  }
}

// Reads fields of either header in the right byte order.
template <class Header>
class Fields {
 public:
  Fields(const std::string& path, const char* bytes, bool swapped) : path_(path), swapped_(swapped) {
    std::memcpy(&raw_, bytes, sizeof raw_);
  }

  NiftiHeader parse() const {
    NiftiHeader out{.path = path_, .datatype = at(raw_.datatype), .swapped = swapped_};
    extents(out);
    scaling(out);
    offset(out);
    orient(out, directions());
    return out;
  }

 private:
  template <class T>
  T at(T field) const {
    return swapped_ ? swap_bytes(field) : field;
  }

  void extents(NiftiHeader& out) const {
    const int64_t rank = at(raw_.dim[0]);
    require(rank >= 1 && rank <= 7, Exit::data, "{}: damaged: {} extents, expected 1 to 7", path_, rank);
    std::array<int64_t, 8> dim;
    for (int64_t i = 1; i < 8; ++i) {
      dim[size_t(i)] = i <= rank ? int64_t{at(raw_.dim[i])} : 1;
      require(dim[size_t(i)] > 0, Exit::data, "{}: damaged: extent {} is {}", path_, i, dim[size_t(i)]);
    }
    require(dim[5] == 1 && dim[6] == 1 && dim[7] == 1, Exit::data,
            "{}: expected one value a voxel, found {}x{}x{}", path_, dim[5], dim[6], dim[7]);
    std::copy_n(&dim[1], 3, out.voxels.begin());
    out.volumes = dim[4];
  }

  void scaling(NiftiHeader& out) const {
    const double slope = at(raw_.scl_slope), inter = at(raw_.scl_inter);
    if (std::isfinite(slope) && slope != 0 && std::isfinite(inter)) out.slope = slope, out.inter = inter;
  }

  void offset(NiftiHeader& out) const {
    const auto claimed = double(at(raw_.vox_offset));
    require(std::abs(claimed) < 1e15, Exit::data, "{}: damaged: values begin at byte {}", path_, claimed);
    out.offset = std::max<int64_t>(sizeof raw_ + 4, int64_t(claimed));
  }

  Matrix directions() const {
    Matrix m;
    for (size_t v = 0; v < 3; ++v)
      m[0][v] = at(raw_.srow_x[v]), m[1][v] = at(raw_.srow_y[v]), m[2][v] = at(raw_.srow_z[v]);
    if (at(raw_.sform_code) > 0 && usable(m)) return m;
    m = of_quaternion(at(raw_.quatern_b), at(raw_.quatern_c), at(raw_.quatern_d), at(raw_.pixdim[0]));
    if (at(raw_.qform_code) > 0 && usable(m)) return m;
    return {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};  // nothing is known: as most scanners' converters write
  }

  std::string path_;
  bool swapped_;
  Header raw_;
};

void check_room(const NiftiHeader& header, int64_t most) {
  int64_t bytes = header.width;
  bool over = false;
  for (const int64_t n : {header.voxels[0], header.voxels[1], header.voxels[2], header.volumes})
    over = over || __builtin_mul_overflow(bytes, n, &bytes);
  over = over || __builtin_add_overflow(bytes, header.offset, &bytes);
  require(!over && bytes <= most, Exit::data,
          "{}: cut off or damaged: claims {} volume(s) of {} voxels, more than the file can hold",
          header.path, header.volumes, fmt::join(header.voxels, "x"));
}

// How the file's extents run through a volume that is turned: where its first voxel lies, and the steps.
struct Turn {
  int64_t begin = 0;
  std::array<int64_t, 3> steps = {};
};

Turn turn_of(const NiftiHeader& header) {
  const std::array<int64_t, 3> strides{header.extents[1] * header.extents[2], header.extents[2], 1};
  Turn out;
  for (size_t i = 0; i < 3; ++i) {
    out.steps[size_t(header.axis[i])] = header.flipped[i] ? -strides[i] : strides[i];
    if (header.flipped[i]) out.begin += strides[i] * (header.extents[i] - 1);
  }
  return out;
}

template <class T>
void convert(const NiftiHeader& header, const std::vector<char>& raw, std::vector<float>& to) {
  const Turn turn = turn_of(header);
  const char* from = raw.data();
  for (int64_t k = 0; k < header.voxels[2]; ++k)
    for (int64_t j = 0; j < header.voxels[1]; ++j) {
      float* row = to.data() + turn.begin + k * turn.steps[2] + j * turn.steps[1];
      for (int64_t i = 0; i < header.voxels[0]; ++i, from += sizeof(T)) {
        T value;
        std::memcpy(&value, from, sizeof(T));
        if (header.swapped) value = swap_bytes(value);
        row[i * turn.steps[0]] = float(double(value) * header.slope + header.inter);
      }
    }
}

void convert(const NiftiHeader& header, const std::vector<char>& raw, std::vector<float>& to) {
  switch (header.datatype) {
    case DT_UINT8:
      return convert<uint8_t>(header, raw, to);
    case DT_INT8:
      return convert<int8_t>(header, raw, to);
    case DT_INT16:
      return convert<int16_t>(header, raw, to);
    case DT_UINT16:
      return convert<uint16_t>(header, raw, to);
    case DT_INT32:
      return convert<int32_t>(header, raw, to);
    case DT_FLOAT32:
      return convert<float>(header, raw, to);
    default:
      return convert<double>(header, raw, to);
  }
}

// Grows with what comes, not by what is claimed.
std::vector<char> read_all(GzFile& file, int64_t bytes, const std::string& path) {
  constexpr int64_t kPiece = 1 << 22;
  std::vector<char> out;
  while (int64_t(out.size()) < bytes) {
    const auto had = int64_t(out.size()), piece = std::min(kPiece, bytes - had);
    out.resize(size_t(had + piece));
    const int64_t got = file.read(out.data() + had, piece);
    require(got == piece, Exit::data, "{}: cut off: a volume has {} bytes, found {}", path, bytes, had + got);
  }
  return out;
}

void find_range(Volume& volume) {
  float low = std::numeric_limits<float>::infinity(), high = -low;
  for (const float value : volume.values)
    if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  if (low <= high) volume.low = low, volume.high = high;
}

}  // namespace

NiftiHeader read_nifti_header(const std::string& path) {
  GzFile file(path);
  std::array<char, sizeof(nifti_2_header)> bytes{};
  const int64_t got = file.read(bytes.data(), bytes.size());
  int32_t size;
  std::memcpy(&size, bytes.data(), sizeof size);
  const bool swapped = size != 348 && size != 540;
  if (swapped) size = swap_bytes(size);
  const bool first = size == 348 && got >= 348 && std::memcmp(bytes.data() + 344, "n+1", 4) == 0;
  const bool second = size == 540 && got >= 540 && std::memcmp(bytes.data() + 4, "n+2\0\r\n\032\n", 8) == 0;
  require(first || second, Exit::data,
          "{}: expected a NIfTI file with its header (n+1 or n+2), found one that begins otherwise", path);
  NiftiHeader out = first ? Fields<nifti_1_header>(path, bytes.data(), swapped).parse()
                          : Fields<nifti_2_header>(path, bytes.data(), swapped).parse();
  out.width = bytes_of(out);
  check_room(out, file.most());
  return out;
}

Volume NiftiReader::read(int64_t volume) {
  if (!file_) file_.emplace(header_.path);
  const int64_t bytes = header_.count() * header_.width;
  file_->seek(header_.offset + volume * bytes);
  const std::vector<char> raw = read_all(*file_, bytes, header_.path);
  char more;
  if (volume + 1 == header_.volumes) file_->read(&more, 1);  // to the checksum, which stands at the end
  Volume out{.extents = header_.extents, .values = std::vector<float>(size_t(header_.count()))};
  convert(header_, raw, out.values);
  find_range(out);
  return out;
}

}  // namespace saddle
