// Any exception as an error a user can act on.
#pragma once

#include "dist/error.h"

namespace saddle {

// The exception that is being handled, for a catch (...): what the machine refused (files, memory, threads)
// is Exit::io, what nobody foresaw Exit::bug.
Error caught();

}  // namespace saddle
