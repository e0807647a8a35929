"""booking/jobs"""
