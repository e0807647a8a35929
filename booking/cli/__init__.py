"""booking/cli"""
