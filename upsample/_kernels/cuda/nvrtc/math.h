/* NVRTC declares the mathematical functions itself. */
#pragma once
