"""For programs: report outcomes, and know an assignment without a gateway. Stays free of heavy imports."""
