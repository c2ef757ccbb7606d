"""The evidence path: pure, numerical. Facts become moments, moments evidence, evidence a decision."""
